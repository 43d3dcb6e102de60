#include <fmt/format.h>

#include "tests/onnx/save/cases.hpp"

// Whole models, and functions that make something of the shapes they get.
namespace cases {
namespace {

ag::Tensor x(const ag::Shape& shape) {
  static ag::Generator g(13);
  return ag::randn(shape, ag::float32, g);
}

struct Block : nn::Module {
  nn::Conv2d first{4, 4, 3, {.padding = 1}}, second{4, 4, 3, {.padding = 1}};
  nn::BatchNorm2d norm{4};
  NN_MODULE(first, second, norm)
  ag::Tensor forward(const ag::Tensor& t) const {
    return ag::relu(norm(second(ag::relu(first(t)))) + t);
  }
};

struct Residual : nn::Module {
  nn::Conv2d stem{3, 4, 3};
  std::vector<Block> blocks{2};
  nn::Linear head{4, 5};
  NN_MODULE(stem, blocks, head)
  ag::Tensor forward(const ag::Tensor& t) const {
    ag::Tensor y = stem(t);
    for (const Block& b : blocks) y = b(y);
    return head(ag::mean(y, {2, 3}));
  }
};

// Tokens to scores of the next one, with one table for both.
struct Language : nn::Module {
  nn::Embedding tokens{11, 8};
  nn::Embedding places{16, 8};
  nn::TransformerEncoderLayer layer{
      8, 2, {.dim_feedforward = 16, .batch_first = true, .norm_first = true}};
  nn::LayerNorm norm{{8}};
  NN_MODULE(tokens, places, layer, norm)
  ag::Tensor forward(const ag::Tensor& ids) const {
    const ag::Tensor h = tokens(ids) + places(ag::arange(ids.size(1)));
    return ag::matmul(norm(layer(h, {.is_causal = true})), ag::transpose(tokens.weight, 0, 1));
  }
};

struct Tagger : nn::Module {
  nn::Embedding words{20, 6};
  nn::LSTM lstm{6, 5, {.batch_first = true, .bidirectional = true}};
  nn::Linear tags{10, 3};
  NN_MODULE(words, lstm, tags)
  ag::Tensor forward(const ag::Tensor& ids) const {
    return ag::log_softmax(tags(lstm(words(ids)).output), -1);
  }
};

struct Two {
  ag::Tensor mean, scale;
};
struct Encoder : nn::Module {
  nn::Linear hidden{6, 8}, mean{8, 2}, scale{8, 2};
  NN_MODULE(hidden, mean, scale)
  Two forward(const ag::Tensor& a, const ag::Tensor& b) const {
    const ag::Tensor h = ag::gelu(hidden(ag::concat({a, b}, 1)));
    return {mean(h), ag::softplus(scale(h))};
  }
};

struct Tied : nn::Module {
  nn::Linear first{6, 6}, second{6, 6};
  NN_MODULE(first, second)
  Tied() { second.weight = nn::Parameter(first.weight); }
  ag::Tensor forward(const ag::Tensor& t) const { return second(ag::tanh(first(t))); }
};

void add_functions(std::vector<Case>& all) {
  const auto add = [&](const char* name, auto f, ag::TensorList in, Also also = {}) {
    all.push_back(function(name, f, std::move(in), also));
  };
  add("flattened batch",
      [](const ag::TensorList& in) {
        return ag::reshape(ag::reshape(in[0], {-1, 3}) * 2.0, in[0].shape());
      },
      {x({4, 5, 3})});
  add("pairs of a batch",
      [](const ag::TensorList& in) {
        return ag::softmax(ag::matmul(in[0], ag::transpose(in[0], 0, 1)), -1);
      },
      {x({4, 6})});
  add("batch last", [](const ag::TensorList& in) { return ag::transpose(in[0], 0, 2); },
      {x({4, 5, 3})});
  add("a constant for each sample",
      [](const ag::TensorList& in) {
        return ag::concat({ag::ones({in[0].size(0), 2}), in[0]}, 1);
      },
      {x({4, 5})});
  add("the number of a sample",
      [](const ag::TensorList& in) {
        return in[0] * ag::unsqueeze(ag::arange(in[0].size(0)).to(ag::float32), 1);
      },
      {x({4, 5})});
  add("a mean over the batch",
      [](const ag::TensorList& in) { return in[0] - ag::mean(in[0], {0}, true); }, {x({4, 5})});
  add("a variance over the batch", [](const ag::TensorList& in) { return ag::var(in[0], {0}); },
      {x({4, 5})});
  add("all but the first sample",
      [](const ag::TensorList& in) {
        return ag::narrow(in[0], 0, 1, in[0].size(0) - 1) -
               ag::narrow(in[0], 0, 0, in[0].size(0) - 1);
      },
      {x({4, 5})});
  add("backwards", [](const ag::TensorList& in) { return ag::flip(in[0], {0, 1}); }, {x({4, 5})});
  add("an argument as it is",
      [](const ag::TensorList& in) {
        return ag::TensorList{in[0], in[0] + 1.0, in[0]};
      },
      {x({4, 5})});
  add("in float64",
      [](const ag::TensorList& in) {
        return ag::sigmoid(ag::matmul(in[0], ag::transpose(in[0], 0, 1)) / 3.0) +
               ag::exp(-ag::sum(ag::square(in[0]), {1}, true));
      },
      {x({4, 5}).to(ag::float64)});
  add("integers", [](const ag::TensorList& in) { return in[0] * 3.0 + ag::sum(in[0], {1}, true); },
      {ag::reshape(ag::arange(20), {4, 5})});
  add("a mask",
      [](const ag::TensorList& in) {
        return ag::where(ag::logical_not(in[0] > 0.0), ag::exp(in[0]), 1.0 + in[0]);
      },
      {x({4, 5})});
}

// A chain of layers that the seed draws.
nn::Sequential drawn(std::uint64_t seed) {
  ag::Generator g(seed);
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(ag::rand({}, ag::float32, g).item() * static_cast<double>(n));
  };
  nn::Sequential s;
  std::int64_t c = 3, h = 8, w = 7;
  for (int k = 0; k < 6; ++k) {
    const std::int64_t more = 2 * (1 + below(3));
    switch (below(10)) {
      case 0:
        s.push_back(nn::Conv2d(c, more, 3, {.padding = 1, .bias = below(2) == 0})), c = more;
        break;
      case 1:
        s.push_back(nn::BatchNorm2d(c));
        break;
      case 2:
        s.push_back(nn::GELU());
        break;
      case 3:
        if (h > 3 && w > 3) s.push_back(nn::MaxPool2d(2, {.stride = 1})), --h, --w;
        break;
      case 4:
        if (h > 3 && w > 3)
          s.push_back(
              nn::AvgPool2d(3, {.stride = 1, .padding = 1, .count_include_pad = below(2) == 0}));
        break;
      case 5:
        s.push_back(nn::InstanceNorm2d(c, {.affine = true}));
        break;
      case 6:
        s.push_back(nn::ReflectionPad2d(1)), h += 2, w += 2;
        break;
      case 7:
        s.push_back(nn::Upsample({.scale_factor = 2, .mode = ag::InterpolateMode::bilinear})),
            h *= 2, w *= 2;
        break;
      case 8:
        s.push_back(nn::ConvTranspose2d(c, more, 3, {.padding = 1})), c = more;
        break;
      default:
        s.push_back(nn::Mish());
    }
  }
  s.push_back(nn::Flatten());
  s.push_back(nn::Linear(c * h * w, 4));
  return s;
}

}  // namespace

std::vector<Case> models() {
  ag::manual_seed(9);
  std::vector<Case> all;
  const ag::Tensor ids =
      ag::reshape(ag::fmod(ag::arange(20).to(ag::float32) * 7.0, 11).to(ag::int64), {4, 5});
  all.push_back(
      module("digits",
             nn::Sequential{nn::Conv2d(1, 8, 3, {.padding = 1}), nn::BatchNorm2d(8), nn::ReLU(),
                            nn::MaxPool2d(2), nn::Flatten(), nn::Linear(8 * 14 * 14, 10)},
             {x({4, 1, 28, 28})}));
  all.push_back(module("residual", Residual(), {x({4, 3, 9, 8})}));
  all.push_back(module("language", Language(), {ids}));
  all.push_back(module("tagger", Tagger(), {ids}));
  all.push_back(module("two in, two out", Encoder(), {x({4, 2}), x({4, 4})}));
  all.push_back(module("tied", Tied(), {x({4, 6})}));
  nn::MLP exact(6, {8}, 3);
  exact.to(ag::float64);
  all.push_back(module("mlp in float64", exact, {x({4, 6}).to(ag::float64)}));
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    all.push_back(module(fmt::format("drawn {}", seed), drawn(seed), {x({4, 3, 8, 7})}));
  add_functions(all);
  return all;
}

}  // namespace cases
