#include "nn/layers/attention.hpp"

#include <cmath>

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/catch.hpp"
#include "tests/nn/layers/drawn.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

nn::MultiheadAttention attention(const nn::MultiheadAttentionOptions& options = {}) {
  ag::manual_seed(7);
  nn::MultiheadAttention m(8, 2, options);
  ag::Generator g(3);
  for (Tensor p : m.parameters()) p.copy_(ag::randn(p.shape(), ag::float32, g) * 0.4);
  return m;
}

}  // namespace

TEST_CASE("attention names its parameters as PyTorch does") {
  const auto names = [](const nn::MultiheadAttention& m) {
    std::string all;
    for (const auto& [name, tensor] : m.state_dict()) all += name + " ";
    return all;
  };
  CHECK(names(nn::MultiheadAttention(8, 2)) ==
        "in_proj_weight in_proj_bias out_proj.weight out_proj.bias ");
  CHECK(names(nn::MultiheadAttention(8, 2, {.bias = false, .add_bias_kv = true, .kdim = 3})) ==
        "q_proj_weight k_proj_weight v_proj_weight bias_k bias_v out_proj.weight ");
}

TEST_CASE("attention with and without its weights has one output") {
  for (const bool first : {false, true}) {
    nn::MultiheadAttention m = attention({.batch_first = first});
    const Tensor x = drawn({5, 5, 8}), y = drawn({5, 5, 8}, 2);
    for (const bool causal : {false, true}) {
      const nn::AttentionOutput with = m(x, y, y, {.is_causal = causal});
      const nn::AttentionOutput without = m(x, y, y, {.need_weights = false, .is_causal = causal});
      CHECK(distance(with.output, without.output) < 1e-5);
      CHECK_FALSE(without.weights.defined());
      CHECK(with.weights.shape() == ag::Shape{5, 5, 5});
      CHECK(distance(ag::sum(with.weights, {-1}), ag::ones({5, 5})) < 1e-6);
      CHECK((with.weights[{0, 0, 4}].item() == 0) == causal);
    }
    CHECK(m(x, y, y, {.average_attn_weights = false}).weights.shape() == ag::Shape{5, 2, 5, 5});
  }
}

TEST_CASE("padded keys give what the shorter sequence gives, also where all are padded") {
  nn::MultiheadAttention m = attention({.batch_first = true});
  const Tensor x = drawn({3, 4, 8}).requires_grad_();
  const Tensor padding = ag::tensor(
      {{false, false, true, true}, {false, false, false, false}, {true, true, true, true}});
  for (const bool weights : {false, true}) {
    const Tensor y = m(x, x, x, {.key_padding_mask = padding, .need_weights = weights}).output;
    const Tensor two = ag::narrow(ag::narrow(x, 0, 0, 1), 1, 0, 2);
    const Tensor wanted = m(two, two, two, {.need_weights = weights}).output;
    CHECK(distance(ag::narrow(ag::narrow(y, 0, 0, 1), 1, 0, 2), wanted) < 1e-5);
    for (std::int64_t i = 0; i < 4; ++i) CHECK(distance(y[{2, i}], m.out_proj.bias) == 0);
    const Tensor g = ag::grad({ag::sum(ag::square(y))}, {x})[0];
    CHECK(ag::all(ag::isfinite(g)).item() == 1);
  }
}

TEST_CASE("masks of bools and of numbers come together") {
  nn::MultiheadAttention m = attention();
  const Tensor x = drawn({3, 2, 8});
  const Tensor later =
      ag::tensor({{false, true, true}, {false, false, true}, {false, false, false}});
  const Tensor padding = ag::tensor({{false, false, true}, {false, false, false}});
  const Tensor low = ag::where(later, ag::full({1}, -INFINITY), 0.0);
  const Tensor wanted = m(x, x, x, {.key_padding_mask = padding, .attn_mask = later}).output;
  for (const bool need : {false, true}) {
    const auto f = [&](const Tensor& pad, const Tensor& mask, bool causal) {
      return m(x, x, x,
               {.key_padding_mask = pad,
                .attn_mask = mask,
                .need_weights = need,
                .is_causal = causal})
          .output;
    };
    CHECK(distance(f(padding, later, false), wanted) < 1e-6);
    CHECK(distance(f(padding, low, false), wanted) < 1e-6);
    CHECK(distance(f(padding, {}, true), wanted) < 1e-6);
    CHECK(distance(f(padding.to(ag::float32) * -1e30, later, false), wanted) < 1e-6);
  }
}

TEST_CASE("further keys are seen by all, also by causal queries") {
  nn::MultiheadAttention m = attention({.add_bias_kv = true, .add_zero_attn = true});
  const Tensor x = drawn({3, 1, 8});
  const Tensor weights = m(x, x, x, {.is_causal = true}).weights;
  CHECK(weights.shape() == ag::Shape{1, 3, 5});
  CHECK(weights[{0, 0, 1}].item() == 0);
  for (const std::int64_t k : {0, 3, 4}) CHECK(weights[{0, 0, k}].item() > 0);
}

TEST_CASE("a cache of keys and values gives what the whole sequence gives") {
  for (const bool first : {false, true})
    for (const bool weights : {false, true}) {
      nn::MultiheadAttention m = attention({.batch_first = first});
      m.eval();
      const ag::NoGrad off;
      const Tensor x = drawn({7, 7, 8});
      const std::int64_t axis = first ? 1 : 0;
      const Tensor whole = m(x, x, x, {.need_weights = weights, .is_causal = true}).output;
      nn::KeyValueCache cache;
      ag::TensorList pieces;
      for (const std::int64_t length : {2, 1, 3, 1}) {
        const Tensor piece = ag::narrow(x, axis, cache.length(), length);
        pieces.push_back(
            m(piece, piece, piece, {.need_weights = weights, .is_causal = true, .cache = &cache})
                .output);
      }
      CHECK(cache.length() == 7);
      CHECK(distance(ag::concat(pieces, axis), whole) < 1e-5);
      cache.clear();
      CHECK(cache.length() == 0);
      CHECK_FALSE(cache.key().defined());
    }
}

TEST_CASE("attention refuses what it cannot take by names and shapes") {
  const nn::MultiheadAttention m(8, 2);
  const Tensor x = ag::ones({3, 2, 8});
  const auto text = [&](const Tensor& q, const Tensor& k, const Tensor& v,
                        const nn::MultiheadAttentionCall& call = {}) -> std::string {
    try {
      m(q, k, v, call);
    } catch (const ag::Error& e) {
      return e.what();
    }
    return "";
  };
  CHECK_THAT(
      text(ag::ones({3, 2, 7}), x, x),
      ContainsSubstring("must have 8, 8 and 8 features, got (3, 2, 7), (3, 2, 8) and (3, 2, 8)"));
  CHECK_THAT(text(x, ag::ones({3, 1, 8}), ag::ones({3, 1, 8})),
             ContainsSubstring("query and key must have one batch size, got (3, 2, 8) and (3, 1, "
                               "8); batch_first is false"));
  CHECK_THAT(text(x, x, ag::ones({4, 2, 8})),
             ContainsSubstring("key and value must have one length and batch"));
  CHECK_THAT(text(ag::ones({8}), x, x),
             ContainsSubstring("must all have 3 axes, or 2 without a batch"));
  CHECK_THAT(text(x, x, x, {.attn_mask = ag::ones({2, 3})}),
             ContainsSubstring("attn_mask must be (3, 3) or (4, 3, 3), got (2, 3)"));
  CHECK_THAT(text(x, x, x, {.key_padding_mask = ag::ones({3, 2})}),
             ContainsSubstring("key_padding_mask must be (2, 3), got (3, 2)"));
  CHECK_THAT(text(x, x, x, {.attn_mask = ag::ones({3, 3}, ag::int64)}),
             ContainsSubstring("masks must be bool or float32, got int64"));
  nn::KeyValueCache cache;
  CHECK_THAT(text(x, x, x, {.cache = &cache}),
             ContainsSubstring("with a cache is_causal must be true"));
  CHECK_THROWS_WITH(nn::MultiheadAttention(8, 3),
                    ContainsSubstring("embed_dim must be a multiple of num_heads, got 8 and 3"));
  CHECK_THROWS_WITH(nn::MultiheadAttention(8, 2, {.dropout = 2}),
                    ContainsSubstring("dropout must be in [0, 1], got 2"));
}

TEST_CASE("a cache refuses pieces of other sequences") {
  nn::MultiheadAttention m = attention();
  nn::KeyValueCache cache;
  const Tensor x = drawn({3, 2, 8}), other = drawn({1, 5, 8});
  m(x, x, x, {.is_causal = true, .cache = &cache});
  CHECK_THROWS_WITH(m(other, other, other, {.is_causal = true, .cache = &cache}),
                    ContainsSubstring("(3, 2, 8)"));
  CHECK(cache.length() == 3);
}

TEST_CASE("hooks of an attention see its calls with options, and what is returned") {
  nn::MultiheadAttention m = attention();
  const Tensor x = drawn({3, 2, 8}).requires_grad_();
  std::size_t inputs = 0, outputs = 0, gradients = 0;
  m.register_forward_hook(
      [&](const nn::Module&, const ag::TensorList& in, const ag::TensorList& out) {
        inputs = in.size(), outputs = out.size();
      });
  m.register_full_backward_hook([&](const nn::Module&, const ag::TensorList& in,
                                    const ag::TensorList&) { gradients = in.size(); });
  for (const bool need : {true, false}) {
    inputs = outputs = gradients = 0;
    const nn::AttentionOutput y = m(x, x, x, {.need_weights = need, .is_causal = true});
    ag::sum(y.output).backward();
    CHECK(inputs == 3);
    CHECK(outputs == 2);
    CHECK(gradients == 3);
  }
}

TEST_CASE("attention in compile has the bits of eager calls") {
  for (const bool need : {true, false}) {
    nn::MultiheadAttention m = attention({.dropout = 0.2});
    const std::function<Tensor(const Tensor&)> f = [&](const Tensor& x) {
      m.zero_grad();
      const Tensor y = m(x, x, x, {.need_weights = need, .is_causal = true}).output;
      ag::sum(ag::square(y)).backward();
      return (ag::sum(y) + ag::sum(m.in_proj_weight.grad())).detach();
    };
    auto compiled = ag::compile(f);
    ag::TensorList eager, replayed;
    ag::manual_seed(1);
    for (std::uint64_t i = 0; i < 3; ++i) eager.push_back(f(drawn({4, 3, 8}, i)).detach().clone());
    ag::manual_seed(1);
    for (std::uint64_t i = 0; i < 3; ++i)
      replayed.push_back(compiled(drawn({4, 3, 8}, i)).detach().clone());
    for (std::size_t i = 0; i < 3; ++i) CHECK(same_bits(eager[i], replayed[i]));
  }
}
