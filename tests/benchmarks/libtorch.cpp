// The workloads of workloads.hpp in LibTorch.
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include "settings.hpp"

namespace F = torch::nn::functional;
using torch::nn::Linear;
using torch::nn::Sequential;

namespace {

void clear_gradient(torch::Tensor& t) { t.mutable_grad() = torch::Tensor(); }

void scalar_ops(benchmark::State& state) {
  auto a = torch::ones({1}, torch::requires_grad());
  for (auto _ : state) {
    auto z = a;
    for (int64_t i = 0; i < state.range(0); ++i) z = z * a;
    z.backward();
    clear_gradient(a);
  }
}
BENCHMARK(scalar_ops)->Arg(100)->Arg(10000);

void wide_graph(benchmark::State& state) {
  auto a = torch::ones({1}, torch::requires_grad());
  for (auto _ : state) {
    std::vector<torch::Tensor> branches;
    for (int64_t i = 0; i < state.range(0); ++i) branches.push_back(a * a);
    torch::cat(branches).sum().backward();
    clear_gradient(a);
  }
}
BENCHMARK(wide_graph)->Arg(1000);

void xor_step(benchmark::State& state) {
  Sequential model(Linear(2, 8), torch::nn::Tanh(), Linear(8, 1), torch::nn::Sigmoid());
  torch::optim::SGD optimizer(model->parameters(), 0.1);
  const auto x = torch::rand({4, 2}), y = torch::rand({4, 1});
  for (auto _ : state) {
    optimizer.zero_grad();
    torch::mse_loss(model->forward(x), y).backward();
    optimizer.step();
  }
}
BENCHMARK(xor_step);

template <class Optimizer, class Options>
void train_mlp(benchmark::State& state, const Options& options) {
  Sequential model(Linear(784, 256), torch::nn::ReLU(), Linear(256, 128), torch::nn::ReLU(),
                   Linear(128, 10));
  Optimizer optimizer(model->parameters(), options);
  const auto x = torch::rand({state.range(0), 784});
  const auto y = torch::randint(0, 10, {state.range(0)});
  for (auto _ : state) {
    optimizer.zero_grad();
    F::cross_entropy(model->forward(x), y).backward();
    optimizer.step();
  }
}
void mlp_sgd(benchmark::State& state) {
  train_mlp<torch::optim::SGD>(state, torch::optim::SGDOptions(0.01).momentum(0.9));
}
void mlp_adam(benchmark::State& state) {
  train_mlp<torch::optim::Adam>(state, torch::optim::AdamOptions(1e-3));
}
BENCHMARK(mlp_sgd)->Apply(settings::batches);
BENCHMARK(mlp_adam)->Apply(settings::batches);

template <class Function>
void million(benchmark::State& state, const Function& f) {
  auto x = torch::randn({1000, 1000}, torch::requires_grad());
  for (auto _ : state) {
    f(x).sum().backward();
    clear_gradient(x);
  }
}
torch::Tensor gelu(const torch::Tensor& x) {
  return 0.5 * x * (1 + torch::tanh(0.79788456 * (x + 0.044715 * x * x * x)));
}
void gelu_composed(benchmark::State& state) { million(state, gelu); }
void layer_norm(benchmark::State& state) {
  million(state, [](const torch::Tensor& x) { return torch::layer_norm(x, {1000}); });
}
void softmax(benchmark::State& state) {
  million(state, [](const torch::Tensor& x) { return torch::softmax(x, 1).square(); });
}
BENCHMARK(gelu_composed);
BENCHMARK(layer_norm);
BENCHMARK(softmax);

}  // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(settings::threads());
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
