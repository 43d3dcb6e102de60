#include "nn/layers/transformer.hpp"

#include <cmath>

#include "autograd/compile.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"
#include "nn/io/save.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/positional_encoding.hpp"
#include "nn/module/init.hpp"
#include "nn/optim/adam.hpp"
#include "tests/catch.hpp"
#include "tests/nn/layers/drawn.hpp"
#include "tests/nn/layers/some_steps.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

nn::TransformerLayerOptions small(double dropout = 0) {
  return {.dim_feedforward = 16,
          .dropout = dropout,
          .activation = nn::GELU(),
          .batch_first = true,
          .norm_first = true};
}

// With an encoder as a user would write it.
struct Writer : nn::Module {
  nn::PositionalEncoding positions{8, {.dropout = 0, .max_len = 20, .batch_first = true}};
  nn::TransformerEncoder encoder;
  Writer() : encoder(nn::TransformerEncoderLayer(8, 2, small()), 2, nn::LayerNorm(8)) {}
  NN_MODULE(positions, encoder)
  Tensor forward(const Tensor& x) const { return encoder(positions(x), {.is_causal = true}); }
};

// Losses of some steps, then the parameters.
ag::TensorList trained(bool compiled) {
  ag::manual_seed(3);
  nn::Transformer model(8, 2,
                        {.num_encoder_layers = 1,
                         .num_decoder_layers = 1,
                         .dim_feedforward = 16,
                         .batch_first = true});
  nn::optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  const Tensor src = drawn({3, 5, 8}), tgt = drawn({3, 4, 8}, 2);
  const auto step = [&](const Tensor& s, const Tensor& t) {
    optimizer.zero_grad();
    const Tensor loss = ag::mean(ag::square(model(s, t, {.tgt_is_causal = true}) - t));
    loss.backward();
    optimizer.step();
    return loss;
  };
  return some_steps(model, step, src, tgt, compiled);
}

}  // namespace

TEST_CASE("layers of a transformer print and name their parameters as PyTorch does") {
  const nn::TransformerEncoder encoder(nn::TransformerEncoderLayer(8, 2, small(0.1)), 1,
                                       nn::LayerNorm(8));
  std::string names;
  for (const auto& [name, tensor] : encoder.state_dict()) names += name + "\n";
  CHECK(names ==
        "layers.0.self_attn.in_proj_weight\nlayers.0.self_attn.in_proj_bias\n"
        "layers.0.self_attn.out_proj.weight\nlayers.0.self_attn.out_proj.bias\n"
        "layers.0.linear1.weight\nlayers.0.linear1.bias\nlayers.0.linear2.weight\n"
        "layers.0.linear2.bias\nlayers.0.norm1.weight\nlayers.0.norm1.bias\n"
        "layers.0.norm2.weight\nlayers.0.norm2.bias\nnorm.weight\nnorm.bias\n");
  CHECK_THAT(encoder.str(),
             ContainsSubstring("(linear1): Linear(in_features=8, out_features=16, bias=True)"));
  CHECK_THAT(encoder.str(), ContainsSubstring("(dropout1): Dropout(p=0.1, inplace=False)"));
  CHECK_THAT(encoder.str(), ContainsSubstring("(activation): GELU(approximate='none')"));
  CHECK(nn::Transformer().num_parameters() == 44'140'544);  // PyTorch's
}

TEST_CASE("an encoder copies its layer: the copies begin alike and are trained apart") {
  const nn::TransformerEncoderLayer layer(8, 2, small());
  nn::TransformerEncoder encoder(layer, 2);
  CHECK(same_bits(encoder.layers[0].linear1.weight, layer.linear1.weight));
  CHECK(same_bits(encoder.layers[1].linear1.weight, layer.linear1.weight));
  nn::init::zeros_(encoder.layers[0].linear1.weight);
  CHECK(ag::max(ag::abs(layer.linear1.weight)).item() > 0);
  CHECK(ag::max(ag::abs(encoder.layers[1].linear1.weight)).item() > 0);
  CHECK(encoder.parameters().size() == 24);
}

TEST_CASE("an encoder that generates position by position gives what the whole sequence gives") {
  ag::manual_seed(1);
  Writer model;
  model.eval();
  const ag::NoGrad off;
  const Tensor x = drawn({2, 9, 8}), whole = model(x);
  std::vector<nn::KeyValueCache> cache;
  for (std::int64_t i = 0; i < 9; ++i) {
    const Tensor here = model.positions(ag::narrow(x, 1, i, 1), {.offset = i});
    const Tensor y = model.encoder(here, {.is_causal = true, .cache = &cache});
    CHECK(distance(y, ag::narrow(whole, 1, i, 1)) < 1e-5);
  }
  CHECK(cache.size() == 2);
  CHECK(cache[1].length() == 9);
}

TEST_CASE("a decoder that generates position by position gives what the whole sequence gives") {
  ag::manual_seed(1);
  const nn::TransformerDecoder decoder(nn::TransformerDecoderLayer(8, 2, small()), 2);
  const ag::NoGrad off;
  const Tensor x = drawn({2, 5, 8}), memory = drawn({2, 3, 8}, 2);
  const Tensor whole = decoder(x, memory, {.tgt_is_causal = true});
  std::vector<nn::KeyValueCache> cache;
  for (std::int64_t i = 0; i < 5; ++i)
    CHECK(
        distance(decoder(ag::narrow(x, 1, i, 1), memory, {.tgt_is_causal = true, .cache = &cache}),
                 ag::narrow(whole, 1, i, 1)) < 1e-5);
}

TEST_CASE("no position of a causal encoder sees a later one") {
  ag::manual_seed(1);
  const Writer model;
  const Tensor x = drawn({1, 6, 8}).requires_grad_();
  const Tensor g = ag::grad({ag::sum(ag::square(model(x)[{0, 2}]))}, {x})[0];
  CHECK(ag::max(ag::abs(ag::narrow(g, 1, 3, 3))).item() == 0);
  CHECK(ag::max(ag::abs(ag::narrow(g, 1, 0, 3))).item() > 0);
}

TEST_CASE("padding at the end of a sequence changes nothing before it") {
  ag::manual_seed(1);
  const nn::Transformer model(8, 2,
                              {.num_encoder_layers = 2,
                               .num_decoder_layers = 1,
                               .dim_feedforward = 16,
                               .dropout = 0,
                               .batch_first = true});
  const Tensor src = drawn({1, 6, 8}), tgt = drawn({1, 4, 8}, 2);
  const Tensor padding = ag::tensor({{false, false, false, false, true, true}});
  const Tensor padded =
      model(src, tgt, {.src_key_padding_mask = padding, .memory_key_padding_mask = padding});
  CHECK(distance(padded, model(ag::narrow(src, 1, 0, 4), tgt)) < 1e-5);
}

TEST_CASE("the mask of a transformer is causal") {
  const Tensor x = drawn({2, 5, 8}), mask = nn::Transformer::generate_square_subsequent_mask(5);
  CHECK(mask[{1, 2}].item() == -INFINITY);
  CHECK(mask[{2, 2}].item() == 0);
  const nn::TransformerEncoderLayer layer(8, 2, small());
  CHECK(distance(layer(x, {.src_mask = mask}), layer(x, {.is_causal = true})) < 1e-6);
}

TEST_CASE("a transformer that is compiled has the bits of eager steps, with dropout") {
  const ag::TensorList eager = trained(false), replayed = trained(true);
  for (std::size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], replayed[i]));
}

TEST_CASE("a transformer has the same bits with any number of threads", "[threads]") {
  const auto run = [](int threads) {
    ag::set_num_threads(threads);
    ag::manual_seed(1);
    nn::TransformerEncoderLayer layer(64, 4, {.dim_feedforward = 96, .batch_first = true});
    const Tensor x = drawn({4, 150, 64}).requires_grad_();
    const Tensor y = layer(x, {.is_causal = true});
    ag::sum(ag::square(y)).backward();
    ag::TensorList out{y.detach(), x.grad()};
    for (const Tensor& p : layer.parameters()) out.push_back(p.grad());
    ag::set_num_threads(1);
    return out;
  };
  const ag::TensorList one = run(1), two = run(2), three = run(3);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(same_bits(one[i], two[i]));
    CHECK(same_bits(one[i], three[i]));
  }
}

TEST_CASE("transformers are cloned, saved and loaded") {
  ag::manual_seed(1);
  const Writer model;
  Writer other = nn::clone(model), loaded;
  const Tensor x = drawn({2, 4, 8});
  CHECK(same_bits(model(x), other(x)));
  nn::init::zeros_(other.encoder.layers[0].linear1.weight);
  CHECK(distance(model(x), other(x)) > 0);
  loaded.load_state_dict(model.state_dict());
  CHECK(same_bits(model(x), loaded(x)));
  loaded.to(ag::float64);
  CHECK(distance(loaded(x.to(ag::float64)).to(ag::float32), model(x)) < 1e-5);
}

TEST_CASE("hooks of an encoder see its calls with options") {
  nn::TransformerEncoder encoder(nn::TransformerEncoderLayer(8, 2, small()), 2);
  int calls = 0;
  encoder.register_forward_hook(
      [&](const nn::Module&, const ag::TensorList&, const Tensor&) { ++calls; });
  encoder.layers[1].self_attn.register_forward_hook(
      [&](const nn::Module&, const ag::TensorList& in, const ag::TensorList&) {
        calls += 10 * static_cast<int>(in.size());
      });
  const Tensor x = drawn({2, 4, 8});
  encoder(x);
  encoder(x, {.is_causal = true});
  CHECK(calls == 62);
}

TEST_CASE("layers of a transformer take a place in a Sequential, and empty batches") {
  const nn::Sequential model(nn::TransformerEncoderLayer(8, 2, small()), nn::Linear(8, 3));
  CHECK(model(drawn({2, 4, 8})).shape() == ag::Shape{2, 4, 3});
  CHECK(model(drawn({0, 4, 8})).shape() == ag::Shape{0, 4, 3});
}

TEST_CASE("transformers refuse what they cannot take by names and shapes") {
  using Layer = nn::TransformerEncoderLayer;
  CHECK_THROWS_WITH(Layer(8, 3),
                    ContainsSubstring("embed_dim must be a multiple of num_heads, got 8 and 3"));
  CHECK_THROWS_WITH(
      Layer(8, 2, {.dim_feedforward = 0}),
      ContainsSubstring("transformer_encoder_layer: dim_feedforward must be at least 1, got 0"));
  CHECK_THROWS_WITH(
      nn::TransformerEncoder(Layer(8, 2, small()), -1),
      ContainsSubstring("transformer_encoder: num_layers must be in [0, 65536], got -1"));
  const nn::TransformerEncoder encoder(Layer(8, 2, small()), 2);
  CHECK_THROWS_WITH(encoder(ag::ones({2, 3, 7})), ContainsSubstring("(2, 3, 7)"));
  std::vector<nn::KeyValueCache> cache(3);
  CHECK_THROWS_WITH(
      encoder(ag::ones({2, 3, 8}), {.is_causal = true, .cache = &cache}),
      ContainsSubstring("the cache must have an entry for each of 2 layers, or none, got 3"));
  const nn::Transformer model(8, 2, {.num_encoder_layers = 1, .num_decoder_layers = 1});
  CHECK_THROWS_WITH(
      model(ag::ones({4, 2, 8}), ag::ones({4, 3, 8})),
      ContainsSubstring("src and tgt must have one batch size, got (4, 2, 8) and (4, 3, 8)"));
  const nn::PositionalEncoding positions(8, {.max_len = 4});
  CHECK_THROWS_WITH(positions(ag::ones({5, 1, 8})),
                    ContainsSubstring("positions must be in [0, 3], got 5 from 0 on"));
  CHECK_THROWS_WITH(
      positions(ag::ones({2, 1, 7})),
      ContainsSubstring("x must be (length, n, 8) or (length, 8), got shape (2, 1, 7)"));
}

TEST_CASE("a positional encoding adds the sines of the positions on the axis of the length") {
  nn::PositionalEncoding by_length(6, {.dropout = 0}),
      by_batch(6, {.dropout = 0, .batch_first = true});
  const Tensor x = drawn({3, 2, 6});
  const Tensor turned = ag::permute(x, {1, 0, 2});
  CHECK(same_bits(ag::permute(by_length(x), {1, 0, 2}), by_batch(turned)));
  CHECK(same_bits(by_batch(ag::zeros({3, 6})), ag::narrow(by_batch.pe, 0, 0, 3)));
  CHECK(by_length.str() ==
        "PositionalEncoding(\n  d_model=6, max_len=5000\n  (dropout): Dropout(p=0.0, "
        "inplace=False)\n)");
}
