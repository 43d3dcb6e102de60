#pragma once

#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

#include <cstdint>

/// What the benchmarks time. Each workload makes its state and gives `run` one step and the inputs
/// of the step; `run` decides how it runs and how often.
namespace workloads {

namespace ag = autograd;

/// A chain of scalar multiplications, recorded and walked.
template <class Run>
void scalar_ops(std::int64_t length, const Run& run) {
  const auto step = [length](ag::Tensor a) {
    ag::Tensor z = a;
    for (std::int64_t i = 0; i < length; ++i) z = z * a;
    z.backward();
    a.zero_grad();
  };
  run(step, ag::ones({1}).requires_grad_());
}

/// Many branches from one leaf, joined by one sum.
template <class Run>
void wide_graph(std::int64_t width, const Run& run) {
  const auto step = [width](ag::Tensor a) {
    ag::TensorList branches;
    for (std::int64_t i = 0; i < width; ++i) branches.push_back(a * a);
    ag::sum(ag::concat(branches)).backward();
    a.zero_grad();
  };
  run(step, ag::ones({1}).requires_grad_());
}

/// One step of training on the batch (x, y).
template <class Optimizer, class Options, class Loss, class Run>
void train(nn::Sequential model, const Options& options, const Loss& loss, const ag::Tensor& x,
           const ag::Tensor& y, const Run& run) {
  Optimizer optimizer(model.parameters(), options);
  const auto step = [&](const ag::Tensor& inputs, const ag::Tensor& targets) {
    optimizer.zero_grad();
    ag::Tensor value = loss(model(inputs), targets);
    value.backward();
    optimizer.step();
    return value.detach();
  };
  run(step, x, y);
}

template <class Run>
void xor_step(const Run& run) {
  train<nn::optim::SGD>(
      nn::Sequential(nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), nn::Sigmoid()),
      nn::optim::SGDOptions{.lr = 0.1},
      [](const ag::Tensor& out, const ag::Tensor& y) { return nn::mse_loss(out, y); },
      ag::rand({4, 2}), ag::rand({4, 1}), run);
}

inline nn::Sequential mlp() {
  return nn::Sequential(nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(),
                        nn::Linear(128, 10));
}

inline ag::Tensor mlp_loss(const ag::Tensor& logits, const ag::Tensor& labels) {
  return nn::cross_entropy(logits, labels);
}

template <class Optimizer, class Options, class Run>
void train_mlp(std::int64_t batch, const Options& options, const Run& run) {
  train<Optimizer>(mlp(), options, mlp_loss, ag::rand({batch, 784}), ag::randint(0, 10, {batch}),
                   run);
}
template <class Run>
void mlp_sgd(std::int64_t batch, const Run& run) {
  train_mlp<nn::optim::SGD>(batch, nn::optim::SGDOptions{.lr = 0.01, .momentum = 0.9}, run);
}
template <class Run>
void mlp_adam(std::int64_t batch, const Run& run) {
  train_mlp<nn::optim::Adam>(batch, nn::optim::AdamOptions{.lr = 1e-3}, run);
}

/// Forward and backward of sum(f(x)) for a million floats.
template <class F, class Run>
void million(const F& f, const Run& run) {
  const auto step = [&f](ag::Tensor x) {
    x.zero_grad();
    ag::sum(f(x)).backward();
  };
  run(step, ag::randn({1000, 1000}).requires_grad_());
}

constexpr auto gelu_formula = [](auto x) {
  using std::tanh;
  return 0.5 * x * (1 + tanh(0.79788456 * (x + 0.044715 * x * x * x)));
};
template <class Run>
void gelu_composed(const Run& run) {
  million(gelu_formula, run);
}
template <class Run>
void gelu_fused(const Run& run) {
  million(ag::elementwise("gelu", gelu_formula), run);
}
template <class Run>
void layer_norm(const Run& run) {
  million([](const ag::Tensor& x) { return ag::layer_norm(x, {1000}); }, run);
}
template <class Run>
void softmax(const Run& run) {
  million([](const ag::Tensor& x) { return ag::square(ag::softmax(x, 1)); }, run);
}

template <class Run>
void gelu(const Run& run) {
  million([](const ag::Tensor& x) { return ag::gelu(x); }, run);
}

/// The Hessian of Rosenbrock's function of 100 variables.
template <class Run>
void hessian(const Run& run) {
  const auto rosenbrock = [](const ag::Tensor& x) {
    const ag::Tensor a = ag::narrow(x, 0, 0, 99), b = ag::narrow(x, 0, 1, 99);
    return ag::sum(100 * ag::square(b - ag::square(a)) + ag::square(1 - a));
  };
  run([&](const ag::Tensor& x) { return ag::hessian(rosenbrock, x); },
      ag::rand({100}, ag::float64));
}

/// The gradients of the MLP for each of 64 samples.
template <class Run>
void per_sample_grads(const Run& run) {
  nn::Sequential model = mlp();
  run([&](const ag::Tensor& x,
          const ag::Tensor& y) { return nn::per_sample_grads(model, mlp_loss, x, y); },
      ag::rand({64, 784}), ag::randint(0, 10, {64}));
}

/// A matrix product (m, k) (k, n) that nobody records.
template <class Run>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const Run& run) {
  const auto step = [](const ag::Tensor& a, const ag::Tensor& b) { return ag::matmul(a, b); };
  run(step, ag::randn({m, k}), ag::randn({k, n}));
}

}  // namespace workloads
