// The workloads of the comparison in xgrad. libtorch.cpp holds the same under the same names.
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

#include <benchmark/benchmark.h>

namespace ag = autograd;

namespace {

ag::Tensor random(const ag::Shape& shape) { return ag::randn(shape).requires_grad_(); }

// A chain of scalar multiplications, recorded and walked. Divide by its length for one operation.
void scalar_ops(benchmark::State& state) {
  ag::Tensor a = ag::ones({1}).requires_grad_();
  for (auto _ : state) {
    ag::Tensor z = a;
    for (std::int64_t i = 0; i < state.range(0); ++i) z = z * a;
    z.backward();
    a.zero_grad();
  }
}
BENCHMARK(scalar_ops)->Arg(100)->Arg(10000);

// Many branches from one leaf, joined by one sum.
void wide_graph(benchmark::State& state) {
  ag::Tensor a = ag::ones({1}).requires_grad_();
  for (auto _ : state) {
    ag::TensorList branches;
    for (std::int64_t i = 0; i < state.range(0); ++i) branches.push_back(a * a);
    ag::sum(ag::concat(branches)).backward();
    a.zero_grad();
  }
}
BENCHMARK(wide_graph)->Arg(1000);

void xor_step(benchmark::State& state) {
  nn::Sequential model{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), nn::Sigmoid()};
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1});
  const ag::Tensor x = ag::rand({4, 2}), y = ag::rand({4, 1});
  for (auto _ : state) {
    optimizer.zero_grad();
    nn::mse_loss(model(x), y).backward();
    optimizer.step();
  }
}
BENCHMARK(xor_step);

template <class Optimizer, class Options>
void train_mlp(benchmark::State& state, const Options& options) {
  nn::Sequential model{nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(),
                       nn::Linear(128, 10)};
  Optimizer optimizer(model.parameters(), options);
  const ag::Tensor x = ag::rand({state.range(0), 784});
  const ag::Tensor y = ag::randint(0, 10, {state.range(0)});
  for (auto _ : state) {
    optimizer.zero_grad();
    nn::cross_entropy(model(x), y).backward();
    optimizer.step();
  }
}
void mlp_sgd(benchmark::State& state) {
  train_mlp<nn::optim::SGD>(state, nn::optim::SGDOptions{.lr = 0.01, .momentum = 0.9});
}
void mlp_adam(benchmark::State& state) {
  train_mlp<nn::optim::Adam>(state, nn::optim::AdamOptions{.lr = 1e-3});
}
BENCHMARK(mlp_sgd)->Arg(1)->Arg(64)->Arg(256);
BENCHMARK(mlp_adam)->Arg(1)->Arg(64)->Arg(256);

constexpr auto gelu_formula = [](auto x) {
  using std::tanh;
  return 0.5 * x * (1 + tanh(0.79788456 * (x + 0.044715 * x * x * x)));
};

// Forward and backward of sum(f(x)) for a million floats.
template <class F>
void million(benchmark::State& state, const F& f) {
  ag::Tensor x = random({1000, 1000});
  for (auto _ : state) {
    ag::sum(f(x)).backward();
    x.zero_grad();
  }
}
void gelu_composed(benchmark::State& state) { million(state, gelu_formula); }
void gelu_fused(benchmark::State& state) { million(state, ag::elementwise("gelu", gelu_formula)); }
void layer_norm(benchmark::State& state) {
  million(state, [](const ag::Tensor& x) { return ag::layer_norm(x, {1000}); });
}
void softmax(benchmark::State& state) {
  million(state, [](const ag::Tensor& x) { return ag::square(ag::softmax(x, 1)); });
}
BENCHMARK(gelu_composed);
BENCHMARK(gelu_fused);
BENCHMARK(layer_norm);
BENCHMARK(softmax);

}  // namespace

BENCHMARK_MAIN();
