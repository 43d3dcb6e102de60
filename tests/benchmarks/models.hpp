#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "workloads.hpp"

/// Models of images, sequences and text, one step of training each; `libtorch.cpp` has the same.
namespace workloads {

/// One step of training a model, of any class, by Adam; `loss(model, x, y)`.
template <class Optimizer, class Options, class Model, class Loss, class Run>
void train_model(Model model, const Options& options, const Loss& loss, const ag::Tensor& x,
                 const ag::Tensor& y, const Run& run) {
  Optimizer optimizer(model.parameters(), options);
  const auto step = [&](const ag::Tensor& inputs, const ag::Tensor& targets) {
    optimizer.zero_grad();
    ag::Tensor value = loss(model, inputs, targets);
    value.backward();
    optimizer.step();
    return value.detach();
  };
  run(step, x, y);
}
constexpr auto classes = [](const auto& model, const ag::Tensor& x, const ag::Tensor& y) {
  return nn::cross_entropy(model(x), y);
};
constexpr auto mean_square = [](const auto& model, const ag::Tensor& x, const ag::Tensor&) {
  return ag::mean(ag::square(model(x)));
};

inline nn::Sequential cnn_model() {
  return nn::Sequential(nn::Conv2d(1, 32, 3), nn::ReLU(), nn::Conv2d(32, 64, 3), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Flatten(), nn::Linear(9216, 128), nn::ReLU(),
                        nn::Linear(128, 10));
}
template <class Run>
void cnn(const Run& run) {
  train_model<nn::optim::Adam>(cnn_model(), nn::optim::AdamOptions{.lr = 1e-5}, classes,
                               ag::rand({64, 1, 28, 28}), ag::randint(0, 10, {64}), run);
}

/// What a model says of one sample of this shape.
template <class Run>
void infer(nn::Sequential model, const ag::Shape& sample, const Run& run) {
  model.eval();
  const ag::NoGrad no_grad;
  run([&](const ag::Tensor& x) { return model(x); }, ag::rand(sample));
}

struct Residual : nn::Module {
  nn::Conv2d conv1{64, 64, 3, {.padding = 1, .bias = false}},
      conv2{64, 64, 3, {.padding = 1, .bias = false}};
  nn::BatchNorm2d norm1{64}, norm2{64};
  NN_MODULE(conv1, norm1, conv2, norm2)
  ag::Tensor forward(const ag::Tensor& x) const {
    return ag::relu(norm2(conv2(ag::relu(norm1(conv1(x))))) + x);
  }
};
template <class Run>
void residual(const Run& run) {
  train_model<nn::optim::Adam>(Residual(), nn::optim::AdamOptions{.lr = 1e-5}, mean_square,
                               ag::randn({32, 64, 32, 32}), ag::Tensor(ag::zeros({1})), run);
}

/// A recurrent layer 64 → 128 over 50 steps of 32 sequences, classes from the last one.
template <class Layer>
struct Recurrent : nn::Module {
  Layer layer{64, 128};
  nn::Linear head{128, 10};
  NN_MODULE(layer, head)
  ag::Tensor forward(const ag::Tensor& x) const { return head(layer(x).output[49]); }
};
template <class Layer, class Run>
void recurrent(const Run& run) {
  train_model<nn::optim::Adam>(Recurrent<Layer>(), nn::optim::AdamOptions{.lr = 1e-5}, classes,
                               ag::rand({50, 32, 64}), ag::randint(0, 10, {32}), run);
}

/// An encoder layer of 128 numbers, 4 heads, 512 between: `batch` sequences of `length`.
template <class Run>
void transformer(std::int64_t batch, std::int64_t length, const Run& run) {
  train_model<nn::optim::Adam>(nn::TransformerEncoderLayer(128, 4,
                                                           {.dim_feedforward = 512,
                                                            .dropout = 0.0,
                                                            .activation = nn::GELU(),
                                                            .batch_first = true,
                                                            .norm_first = true}),
                               nn::optim::AdamOptions{.lr = 1e-5}, mean_square,
                               ag::randn({batch, length, 128}), ag::Tensor(ag::zeros({1})), run);
}

/// The mean of 50 rows of 50,000 × 128 for each of 64 samples, and classes from it.
struct Bag : nn::Module {
  nn::Embedding embedding;
  nn::Linear head{128, 10};
  explicit Bag(bool sparse) : embedding(50000, 128, {.sparse = sparse}) {}
  NN_MODULE(embedding, head)
  ag::Tensor forward(const ag::Tensor& x) const { return head(ag::mean(embedding(x), 1)); }
};
/// The same by bags, whose rows are never laid out.
struct Bags : nn::Module {
  nn::EmbeddingBag embedding{50000, 128, {.sparse = true}};
  nn::Linear head{128, 10};
  NN_MODULE(embedding, head)
  ag::Tensor forward(const ag::Tensor& x) const { return head(embedding(x)); }
};
template <class Run>
void bags(const Run& run) {
  train_model<nn::optim::SGD>(Bags(), nn::optim::SGDOptions{.lr = 1e-4}, classes,
                              ag::randint(0, 50000, {64, 50}), ag::randint(0, 10, {64}), run);
}
template <class Optimizer, class Options, class Run>
void embedding(bool sparse, const Options& options, const Run& run) {
  train_model<Optimizer>(Bag(sparse), options, classes, ag::randint(0, 50000, {64, 50}),
                         ag::randint(0, 10, {64}), run);
}

/// The same lookups by an Adam that moves the rows it looks up, and one for the head.
template <class Run>
void embedding_sparse_adam(const Run& run) {
  Bag model(true);
  nn::optim::SparseAdam rows(model.embedding.parameters(), {.lr = 1e-5});
  nn::optim::Adam head(model.head.parameters(), {.lr = 1e-5});
  const auto step = [&](const ag::Tensor& x, const ag::Tensor& y) {
    rows.zero_grad();
    head.zero_grad();
    nn::cross_entropy(model(x), y).backward();
    rows.step();
    head.step();
  };
  run(step, ag::randint(0, 50000, {64, 50}), ag::randint(0, 10, {64}));
}

/// Sentences of 20 words, the n-th of 5000 words about 1/n as often as the first; peers.py has the
/// same.
inline std::vector<std::vector<std::string>> sentences(std::int64_t count) {
  std::vector<std::vector<std::string>> all(static_cast<std::size_t>(count));
  std::uint64_t state = 1;
  for (auto& sentence : all)
    for (int i = 0; i < 20; ++i) {
      state = (state * 48271) % 2147483647;
      const double u = static_cast<double>(state) / 2147483647;
      sentence.push_back(fmt::format("w{}", static_cast<int>(std::pow(5000, u))));
    }
  return all;
}

}  // namespace workloads
