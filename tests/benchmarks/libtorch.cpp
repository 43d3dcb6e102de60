// The workloads of workloads.hpp in LibTorch.
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <cmath>
#include <vector>

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

Sequential mlp() {
  return Sequential(Linear(784, 256), torch::nn::ReLU(), Linear(256, 128), torch::nn::ReLU(),
                    Linear(128, 10));
}
template <class Optimizer, class Options>
void train_mlp(benchmark::State& state, const Options& options) {
  Sequential model = mlp();
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

// One step of training by `optimizer`; `forward()` gives the loss.
template <class Optimizer, class Forward>
void train(benchmark::State& state, Optimizer optimizer, const Forward& forward) {
  for (auto _ : state) {
    optimizer.zero_grad();
    forward().backward();
    optimizer.step();
  }
}
torch::optim::Adam adam(const std::vector<torch::Tensor>& parameters) {
  return torch::optim::Adam(parameters, torch::optim::AdamOptions(1e-5));
}
std::vector<torch::Tensor> joined(std::vector<torch::Tensor> a,
                                  const std::vector<torch::Tensor>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Sequential cnn_model() {
  using namespace torch::nn;  // NOLINT
  return Sequential(Conv2d(1, 32, 3), ReLU(), Conv2d(32, 64, 3), ReLU(), MaxPool2d(2), Flatten(),
                    Linear(9216, 128), ReLU(), Linear(128, 10));
}
void cnn(benchmark::State& state) {
  Sequential model = cnn_model();
  const auto x = torch::rand({64, 1, 28, 28}), y = torch::randint(0, 10, {64}, torch::kLong);
  train(state, adam(model->parameters()), [&] { return F::cross_entropy(model->forward(x), y); });
}
BENCHMARK(cnn);

void residual(benchmark::State& state) {
  using namespace torch::nn;  // NOLINT
  const auto conv = [] { return Conv2d(Conv2dOptions(64, 64, 3).padding(1).bias(false)); };
  Sequential model(conv(), BatchNorm2d(64), ReLU(), conv(), BatchNorm2d(64));
  const auto x = torch::randn({32, 64, 32, 32});
  train(state, adam(model->parameters()),
        [&] { return torch::relu(model->forward(x) + x).square().mean(); });
}
BENCHMARK(residual);

template <class Layer>
void recurrent(benchmark::State& state) {
  Layer layer(64, 128);
  Linear head(128, 10);
  const auto x = torch::rand({50, 32, 64}), y = torch::randint(0, 10, {32}, torch::kLong);
  train(state, adam(joined(layer->parameters(), head->parameters())),
        [&] { return F::cross_entropy(head->forward(std::get<0>(layer->forward(x))[49]), y); });
}
void lstm(benchmark::State& state) { recurrent<torch::nn::LSTM>(state); }
void gru(benchmark::State& state) { recurrent<torch::nn::GRU>(state); }
BENCHMARK(lstm);
BENCHMARK(gru);

// Pre-norm, with one product for the three projections, which is what its own layer computes.
void transformer(benchmark::State& state) {
  const auto batch = state.range(0), length = state.range(1);
  torch::nn::LayerNorm norm1(torch::nn::LayerNormOptions({128})),
      norm2(torch::nn::LayerNormOptions({128}));
  Linear in(128, 384), out(128, 128), linear1(128, 512), linear2(512, 128);
  std::vector<torch::Tensor> parameters = joined(norm1->parameters(), norm2->parameters());
  for (const auto& layer : {in, out, linear1, linear2})
    parameters = joined(parameters, layer->parameters());
  const auto x = torch::randn({batch, length, 128});
  train(state, adam(parameters), [&] {
    const auto heads =
        in(norm1(x)).view({batch, length, 3, 4, 32}).permute({2, 0, 3, 1, 4}).unbind(0);
    const auto weights =
        torch::softmax(torch::matmul(heads[0], heads[1].transpose(-1, -2)) / std::sqrt(32.0), -1);
    const auto seen = torch::matmul(weights, heads[2]).transpose(1, 2);
    const auto h = x + out(seen.reshape({batch, length, 128}));
    return (h + linear2(torch::gelu(linear1(norm2(h))))).square().mean();
  });
}
BENCHMARK(transformer)->Args({16, 64})->Args({1, 1024});

template <class Optimizer>
void embedding(benchmark::State& state, bool sparse, double lr) {
  torch::nn::Embedding table(torch::nn::EmbeddingOptions(50000, 128).sparse(sparse));
  Linear head(128, 10);
  const auto x = torch::randint(0, 50000, {64, 50}, torch::kLong);
  const auto y = torch::randint(0, 10, {64}, torch::kLong);
  train(state, Optimizer(joined(table->parameters(), head->parameters()), lr),
        [&] { return F::cross_entropy(head->forward(table->forward(x).mean(1)), y); });
}
void embedding_sgd(benchmark::State& state) { embedding<torch::optim::SGD>(state, true, 1e-4); }
void embedding_bag_sgd(benchmark::State& state) {
  torch::nn::EmbeddingBag table(
      torch::nn::EmbeddingBagOptions(50000, 128).mode(torch::kMean).sparse(true));
  Linear head(128, 10);
  const auto x = torch::randint(0, 50000, {64, 50}, torch::kLong);
  const auto y = torch::randint(0, 10, {64}, torch::kLong);
  train(state, torch::optim::SGD(joined(table->parameters(), head->parameters()), 1e-4),
        [&] { return F::cross_entropy(head->forward(table->forward(x)), y); });
}
void embedding_adam(benchmark::State& state) { embedding<torch::optim::Adam>(state, false, 1e-5); }
BENCHMARK(embedding_sgd);
BENCHMARK(embedding_bag_sgd);
BENCHMARK(embedding_adam);

void infer(benchmark::State& state, Sequential model, at::IntArrayRef sample) {
  const c10::InferenceMode inference;
  model->eval();
  const auto x = torch::rand(sample);
  for (auto _ : state) model->forward(x);
}
void infer_mlp(benchmark::State& state) { infer(state, mlp(), {1, 784}); }
void infer_cnn(benchmark::State& state) { infer(state, cnn_model(), {1, 1, 28, 28}); }
BENCHMARK(infer_mlp);
BENCHMARK(infer_cnn);

}  // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(settings::threads());
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
