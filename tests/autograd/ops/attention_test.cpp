#include "autograd/ops/neural/attention.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>

#include "autograd/compile.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/core/memory.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/neural/positions.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

double distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  return a.numel() == 0 ? 0 : ag::max(ag::abs(a.detach() - b.detach())).to(ag::float64).item();
}

Tensor formula(const TensorList& x, const ag::AttentionOptions& options = {}) {
  return ag::matmul(ag::attention_weights(x[0], x[1], options), x[2]);
}

// Value and gradients.
TensorList passed(const TensorList& in, const std::function<Tensor(const TensorList&)>& f) {
  const Tensor y = f(in);
  ag::Generator g(5);
  TensorList out = ag::grad({y}, in, {.grad_outputs = {ag::randn(y.shape(), y.dtype(), g)}});
  out.push_back(y.detach());
  return out;
}

TensorList drawn(const std::vector<ag::Shape>& shapes, ag::DType dtype = ag::float64) {
  ag::Generator g(3);
  TensorList in;
  for (const auto& s : shapes) in.push_back(ag::randn(s, dtype, g).requires_grad_());
  return in;
}

}  // namespace

TEST_CASE("attention of tiles is the formula, whatever mask and lengths") {
  for (const auto dtype : {ag::float32, ag::float64})
    for (const std::int64_t l : {1, 33, 300})
      for (const std::int64_t s : {1, 64, 517}) {
        TensorList in = drawn({{2, 3, l, 8}, {2, 3, s, 8}, {2, 3, s, 5}}, dtype);
        for (const int kind : {0, 1, 2, 3}) {
          INFO(ag::name(dtype) << " " << l << " " << s << " kind " << kind);
          ag::AttentionOptions o{.is_causal = kind == 1};
          if (kind == 2) o.attn_mask = ag::remainder(ag::arange(l * s).to(ag::float64), 3) > 0;
          if (kind == 2) o.attn_mask = ag::reshape(o.attn_mask, {l, s});
          if (kind == 3) o.attn_mask = ag::reshape(ag::sin(ag::arange(3 * s).to(dtype)), {3, 1, s});
          const auto ours = passed(
              in, [&](auto& x) { return ag::scaled_dot_product_attention(x[0], x[1], x[2], o); });
          const auto wanted = passed(in, [&](auto& x) { return formula(x, o); });
          for (std::size_t i = 0; i < ours.size(); ++i)
            CHECK(distance(ours[i], wanted[i]) < (dtype == ag::float32 ? 1e-4 : 1e-12));
        }
      }
}

TEST_CASE("a query without keys gives 0 and its gradients are 0, beside others that have some") {
  const Tensor bools = ag::tensor({{false, false}, {true, true}});
  for (const Tensor& mask : {bools, ag::where(bools, ag::zeros({1}, ag::float64), -kInfinite)}) {
    TensorList in = drawn({{2, 3}, {2, 3}, {2, 4}});
    const auto f = [&](auto& x) {
      return ag::scaled_dot_product_attention(x[0], x[1], x[2], {.attn_mask = mask});
    };
    const TensorList found = passed(in, f);
    CHECK(ag::sum(ag::abs(found[3][0])).item() == 0);
    CHECK(ag::sum(ag::abs(found[0][0])).item() == 0);
    for (const Tensor& t : found) CHECK(ag::all(ag::isfinite(t)).item() == 1);
    const TensorList alone = passed({in[0], in[1], in[2]}, [&](auto& x) {
      return ag::scaled_dot_product_attention(ag::narrow(x[0], 0, 1, 1), x[1], x[2]);
    });
    CHECK(distance(found[3][1], alone[3][0]) < 1e-15);
  }
}

TEST_CASE("a query without keys is no anomaly") {
  const ag::AnomalyMode on;
  const ag::AttentionOptions o{.attn_mask = ag::tensor({{false, false}, {true, true}})};
  TensorList in = drawn({{2, 3}, {2, 3}, {2, 4}});
  for (const bool twice : {false, true}) {
    const Tensor y = ag::scaled_dot_product_attention(in[0], in[1], in[2], o);
    CHECK_NOTHROW(ag::grad({ag::sum(y)}, in, {.create_graph = twice}));
    CHECK_NOTHROW(ag::grad({ag::sum(formula(in, o))}, in));
  }
}

TEST_CASE("scores far from 0 keep their digits in the gradient") {
  TensorList in = drawn({{4, 2}, {5, 2}, {5, 3}}, ag::float32), far;
  for (const Tensor& t : in) far.push_back(t.to(ag::float64).detach().requires_grad_());
  const auto f = [](auto& x) {
    const Tensor shift = ag::full({1, 5}, 30000, x[0].dtype());
    return ag::scaled_dot_product_attention(x[0], x[1], x[2], {.attn_mask = shift});
  };
  const auto ours = passed(in, f), exact = passed(far, f);
  for (std::size_t i = 0; i + 1 < ours.size(); ++i)  // the scores themselves are rounded to 2^-9
    CHECK(distance(ours[i].to(ag::float64), exact[i]) < 2e-2);
}

TEST_CASE("the corner of a causal mask is upper left, and moves by causal_offset") {
  const Tensor q = ag::zeros({2, 1}), k = ag::zeros({4, 1}),
               v = ag::unsqueeze(ag::arange(4), 1).to(ag::float32);
  const auto f = [&](const ag::AttentionOptions& o) {
    return ag::scaled_dot_product_attention(q, k, v, o).to_vector<float>();
  };
  CHECK(f({.is_causal = true}) == std::vector<float>{0, 0.5f});
  CHECK(f({.is_causal = true, .causal_offset = 2}) == std::vector<float>{1, 1.5f});
  CHECK(f({.is_causal = true, .causal_offset = -1}) == std::vector<float>{0, 0});
  constexpr auto least = std::numeric_limits<std::int64_t>::min(), most = -(least + 1);
  CHECK(f({.is_causal = true, .causal_offset = least}) == std::vector<float>{0, 0});
  CHECK(f({.is_causal = true, .causal_offset = most}) == std::vector<float>{1.5f, 1.5f});
  CHECK(f({.causal_offset = -1}) == std::vector<float>{1.5f, 1.5f});
}

TEST_CASE("dropped weights are the same in the value, its gradient and the formula") {
  TensorList in = drawn({{2, 40, 3}, {2, 50, 3}, {2, 50, 4}});
  const ag::AttentionOptions o{.dropout_p = 0.3};
  const auto seeded = [&](auto f) {
    return [=](const TensorList& x) {
      ag::manual_seed(11);
      return f(x);
    };
  };
  const auto fused = [&](const TensorList& x) {
    return ag::scaled_dot_product_attention(x[0], x[1], x[2], o);
  };
  const auto ours = passed(in, seeded(fused));
  const auto wanted = passed(in, seeded([&](auto& x) { return formula(x, o); }));
  for (std::size_t i = 0; i < ours.size(); ++i) CHECK(distance(ours[i], wanted[i]) < 1e-13);
  const Tensor recorded =
      ag::grad({ag::sum(seeded(fused)(in))}, {in[0]}, {.create_graph = true})[0];
  const Tensor plain = ag::grad({ag::sum(seeded(fused)(in))}, {in[0]})[0];
  CHECK(distance(recorded, plain) < 1e-13);
  ag::manual_seed(11);
  const Tensor kept = ag::attention_weights(in[0], in[1], o) > 0;
  CHECK(std::abs(ag::mean(kept.to(ag::float64)).item() - 0.7) < 0.03);
  CHECK(distance(fused(in), fused(in)) > 0.01);  // new ones at each call
  CHECK(ag::sum(ag::abs(ag::scaled_dot_product_attention(in[0], in[1], in[2], {.dropout_p = 1})))
            .item() == 0);
}

TEST_CASE("a compiled attention drops other weights at each call, as eager calls do") {
  TensorList in = drawn({{2, 9, 3}, {2, 9, 3}, {2, 9, 4}}, ag::float32);
  const std::function<Tensor(const Tensor&)> f = [&](const Tensor& q) {
    for (Tensor t : in) t.zero_grad();
    const Tensor y = ag::scaled_dot_product_attention(q * in[0], in[1], in[2],
                                                      {.dropout_p = 0.5, .is_causal = true});
    ag::sum(ag::square(y)).backward();
    return ag::concat({y, in[2].grad()}, -1).detach();
  };
  auto compiled = ag::compile(f);
  const Tensor x = ag::ones({2, 9, 3});
  ag::manual_seed(4);
  TensorList eager, replayed;
  for (int i = 0; i < 4; ++i) eager.push_back(f(x).detach().clone());
  ag::manual_seed(4);
  for (int i = 0; i < 4; ++i) replayed.push_back(compiled(x).detach().clone());
  for (std::size_t i = 0; i < 4; ++i) CHECK(same_bits(eager[i], replayed[i]));
  CHECK(distance(eager[2], eager[3]) > 0);
}

TEST_CASE("packed heads are read where they are: as split, in any layout") {
  TensorList in = drawn({{3, 70, 4 * (2 + 2 * 1)}});
  const auto heads = [](const Tensor& x, std::int64_t n) {
    return ag::permute(ag::reshape(x, {x.size(0), x.size(1), n, 4}), {0, 2, 1, 3});
  };
  const auto split = [&](const TensorList& x) {
    const TensorList parts = ag::split(x[0], ag::Shape{8, 4, 4}, 2);
    const Tensor y =
        ag::scaled_dot_product_attention(heads(parts[0], 2), heads(parts[1], 1), heads(parts[2], 1),
                                         {.is_causal = true, .enable_gqa = true});
    return ag::reshape(ag::permute(y, {0, 2, 1, 3}), {3, 70, 8});
  };
  const auto wanted = passed(in, split);
  const auto found = passed(in, [](auto& x) {
    return ag::packed_attention({x[0]}, 2, {.attention = {.is_causal = true}, .kv_heads = 1});
  });
  const auto turned = passed(in, [](auto& x) {
    const Tensor y = ag::packed_attention(
        {ag::permute(x[0], {1, 0, 2})}, 2,
        {.attention = {.is_causal = true}, .kv_heads = 1, .batch_first = false});
    return ag::permute(y, {1, 0, 2});
  });
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CHECK(distance(found[i], wanted[i]) < 1e-14);
    CHECK(distance(turned[i], wanted[i]) < 1e-14);
  }
}

TEST_CASE("attention: the same bits with any number of threads", "[threads]") {
  const auto check = [](const char* what, const TensorList& in, auto f) {
    std::vector<TensorList> found;
    for (const int threads : {1, 2, 3, 7}) {
      ag::set_num_threads(threads);
      ag::manual_seed(2);
      found.push_back(passed(in, f));
    }
    ag::set_num_threads(1);
    for (std::size_t t = 1; t < found.size(); ++t)
      for (std::size_t i = 0; i < found[0].size(); ++i) {
        INFO(what << ", result " << i);
        CHECK(same_bits(found[0][i], found[t][i]));
      }
  };
  for (const auto dtype : {ag::float32, ag::float64}) {
    const TensorList in =
        drawn({{3, 5, 257, 16}, {3, 5, 301, 16}, {3, 5, 301, 24}, {257, 301}}, dtype);
    check("causal", {in[0], in[1], in[2]}, [](auto& x) {
      return ag::scaled_dot_product_attention(x[0], x[1], x[2], {.is_causal = true});
    });
    check("mask and dropout", in, [](auto& x) {
      return ag::scaled_dot_product_attention(x[0], x[1], x[2],
                                              {.attn_mask = x[3], .dropout_p = 0.2});
    });
  }
}

TEST_CASE("the memory of attention grows with the length, not with its square") {
  const auto peak = [](std::int64_t length) {
    const Tensor x = ag::randn({1, length, 48}).requires_grad_();
    const auto before = ag::memory_stats().in_use;
    ag::reset_peak_memory();
    ag::sum(ag::packed_attention({x}, 1, {.attention = {.is_causal = true}})).backward();
    return static_cast<double>(ag::memory_stats().peak - before);
  };
  const double half = peak(4096), whole = peak(8192);
  CHECK(whole < 2.1 * half);
  CHECK(whole < 8192.0 * 8192 * 4 / 16);
}

TEST_CASE("products of rotated queries and keys depend on their distance alone") {
  ag::Generator g(1);
  const Tensor q = ag::randn({1, 6}, ag::float64, g), k = ag::randn({1, 6}, ag::float64, g);
  for (const auto pairs : {ag::RotaryPairs::halves, ag::RotaryPairs::interleaved}) {
    const auto product = [&](std::int64_t at, std::int64_t distance) {
      return ag::sum(ag::rotary_embedding(q, {.pairs = pairs, .offset = at + distance}) *
                     ag::rotary_embedding(k, {.pairs = pairs, .offset = at}))
          .item();
    };
    CHECK(std::abs(product(0, 3) - product(100, 3)) < 1e-12);
    CHECK(std::abs(product(0, 3) - product(0, 4)) > 1e-3);
    const Tensor whole = ag::rotary_embedding(ag::expand(q, {9, 6}), {.pairs = pairs});
    CHECK(distance(ag::narrow(whole, 0, 7, 1),
                   ag::rotary_embedding(q, {.pairs = pairs, .offset = 7})) == 0);
  }
  // Feature 0 turns with feature 3, or with feature 1.
  const Tensor one = ag::tensor({{1.0, 0.0, 0.0, 0.0, 0.0, 0.0}});
  CHECK(ag::rotary_embedding(one, {.offset = 1})[{0, 3}].item() == std::sin(1.0));
  CHECK(ag::rotary_embedding(one, {.pairs = ag::RotaryPairs::interleaved, .offset = 1})[{0, 1}]
            .item() == std::sin(1.0));
}

TEST_CASE("sinusoidal positions are sines and cosines of falling frequency") {
  const Tensor p = ag::sinusoidal_positions(4, 6, ag::float64);
  for (std::int64_t i = 0; i < 4; ++i)
    for (std::int64_t j = 0; j < 6; ++j) {
      const double angle =
          static_cast<double>(i) / std::pow(10000.0, static_cast<double>(j / 2 * 2) / 6);
      CHECK(std::abs(p[{i, j}].item() - (j % 2 == 0 ? std::sin(angle) : std::cos(angle))) < 1e-15);
    }
}

TEST_CASE("attention of no heads has values, weights and gradients without elements") {
  const auto zeros = [](std::int64_t length, std::int64_t width) {
    return ag::zeros({2, 0, length, width}).requires_grad_();
  };
  const Tensor q = zeros(5, 4), k = zeros(6, 4), v = zeros(6, 3),
               mask = ag::zeros({5, 6}).requires_grad_();
  CHECK(ag::attention_weights(q, k).shape() == ag::Shape{2, 0, 5, 6});
  for (const bool create_graph : {false, true}) {
    const Tensor y = ag::scaled_dot_product_attention(q, k, v, {.attn_mask = mask});
    const TensorList g = ag::grad({ag::sum(y)}, {q, k, v, mask}, {.create_graph = create_graph});
    CHECK(g[0].shape() == q.shape());
    CHECK(g[2].shape() == v.shape());
    CHECK(ag::max(ag::abs(g[3])).item() == 0);
  }
}
