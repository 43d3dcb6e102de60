#include "nn/training/summary.hpp"

#include <sstream>

#include "autograd/ops/ops.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/convolution.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/recurrent.hpp"
#include "nn/layers/recurrent_cell.hpp"
#include "nn/layers/transformer.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

namespace {

struct Block : nn::Module {
  nn::Conv2d conv{3, 4, 3, {.padding = 1}};
  NN_MODULE(conv)
  ag::Tensor forward(const ag::Tensor& x) const { return ag::relu(conv(x)); }
};

struct Net : nn::Module {
  Block block;
  nn::Dropout dropout{0.5};
  nn::Linear head{4, 4};
  NN_MODULE(block, dropout, head)
  ag::Tensor forward(const ag::Tensor& x) const {
    return head(head(dropout(ag::mean(block(x), {2, 3}))));
  }
};

struct Pair : nn::Module {
  nn::Linear layer{2, 3};
  NN_MODULE(layer)
  ag::Tensor forward(const ag::Tensor& a, const ag::Tensor& b) const { return layer(a + b); }
};

}  // namespace

TEST_CASE("a summary lists the calls with shapes, parameters and multiplications") {
  Net net;
  net.head.requires_grad_(false);
  const nn::Summary s = nn::summary(net, {2, 3, 5, 6});
  REQUIRE(s.layers.size() == 6);
  CHECK(s.layers[0].type == "Net");
  CHECK(s.layers[2].name == "conv");
  CHECK(s.layers[2].depth == 2);
  CHECK(s.layers[2].outputs[0] == ag::Shape({2, 4, 5, 6}));
  CHECK(s.layers[2].parameters == 112);
  CHECK(s.layers[2].multiplications == 112 * 60);
  CHECK(s.layers[3].parameters == 0);
  CHECK(s.layers[4].multiplications == 40);
  CHECK_FALSE(s.layers[4].again);
  CHECK(s.layers[5].again);
  CHECK(s.total_params == 132);
  CHECK(s.trainable_params == 112);
  CHECK(s.total_mult_adds == 112 * 60 + 80);
  CHECK(s.input_bytes == 720);
  CHECK(s.param_bytes == 528);
  CHECK(s.pass_bytes == 2 * 4 * (240 + 3 * 8));
}

TEST_CASE("a summary prints as a table") {
  Net net;
  std::ostringstream text;
  text << nn::summary(net, {2, 3, 5, 6});
  CHECK_THAT(text.str(), Catch::Matchers::ContainsSubstring("│    ├─Conv2d (conv): 2-1"));
  CHECK_THAT(text.str(), Catch::Matchers::ContainsSubstring("[2, 4, 5, 6]"));
  CHECK_THAT(text.str(), Catch::Matchers::ContainsSubstring("(recursive)"));
  CHECK_THAT(text.str(), Catch::Matchers::ContainsSubstring("Total mult-adds: 6,800\n"));
}

TEST_CASE("a summary leaves the model as it was") {
  Net net;
  net.block.eval();
  nn::summary(net, {1, 3, 4, 4});
  CHECK(net.is_training());
  CHECK(net.dropout.is_training());
  CHECK_FALSE(net.block.conv.is_training());
  CHECK_THROWS(nn::summary(net, {1, 5, 4, 4}));
  CHECK(net.dropout.is_training());
}

TEST_CASE("a summary takes several inputs, by shapes or as tensors") {
  Pair net;
  CHECK(nn::summary(net, ag::Shape{4, 2}, ag::Shape{1, 2}).input_bytes == 40);
  net.to(ag::float64);
  const ag::Tensor x = ag::ones({4, 2}, ag::float64);
  CHECK(nn::summary(net, x, x).param_bytes == 72);
}

TEST_CASE("a summary counts the products of recurrent layers as torchinfo does") {
  const auto count = [](auto layer, const ag::Shape& in) {
    return nn::summary(layer, in).total_mult_adds;
  };
  CHECK(count(nn::LSTM(6, 8), {5, 3, 6}) == 7680);
  CHECK(count(nn::LSTM(6, 8, {.num_layers = 2, .batch_first = true, .bidirectional = true}),
              {3, 5, 6}) == 40320);
  CHECK(count(nn::LSTM(6, 8, {.proj_size = 3}), {5, 3, 6}) == 5640);
  CHECK(count(nn::GRU(6, 8), {5, 3, 6}) == 5760);
  // Where torchinfo takes the features for an axis of the batch.
  CHECK(count(nn::LSTM(6, 8), {5, 6}) == 5 * 512);
  CHECK(count(nn::LSTMCell(6, 8), {3, 6}) == 3 * 512);
  CHECK(count(nn::GRUCell(6, 8), {3, 6}) == 3 * 384);
}

TEST_CASE("a summary counts the projections of attention, and queries with keys") {
  nn::TransformerEncoderLayer layer(8, 2, {.dim_feedforward = 16});
  const nn::Summary s = nn::summary(layer, {5, 3, 8});
  CHECK(s.layers[1].type == "MultiheadAttention");
  // 15 rows, each with itself as query, key and value.
  CHECK(s.layers[1].multiplications == 15 * (3 * 8 * 9) + 2 * 3 * 5 * 5 * 8);
  nn::MultiheadAttention apart(8, 2, {.bias = false, .kdim = 3, .vdim = 4, .batch_first = true});
  CHECK(nn::summary(apart, ag::Shape{3, 5, 8}, ag::Shape{3, 7, 3}, ag::Shape{3, 7, 4})
            .layers[0]
            .multiplications == 15 * 64 + 21 * 8 * (3 + 4) + 2 * 3 * 5 * 7 * 8);
}

TEST_CASE("a summary names functions in one word") {
  nn::Sequential model(nn::LSTM(2, 3), [](const nn::LSTMOutput& o) { return o.output; });
  CHECK(nn::summary(model, {4, 2}).layers[2].type == "Lambda");
}
