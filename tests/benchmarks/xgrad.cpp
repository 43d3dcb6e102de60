// The rows of the comparison in xgrad. libtorch.cpp and handwritten.cpp hold the same under the
// same names.
#include <benchmark/benchmark.h>
#include <autograd/core/cpu.hpp>

#include "models.hpp"
#include "ode.hpp"
#include "settings.hpp"
#include "workloads.hpp"

namespace {

using State = benchmark::State;

// Runs a step as it is written, recording each time.
auto eager(State& state) {
  return [&state](const auto& step, const auto&... inputs) {
    for (auto _ : state) step(inputs...);
  };
}

// Runs it compiled: recorded once, then replayed.
auto replay(State& state) {
  return [&state](const auto& step, const auto&... inputs) {
    auto compiled = autograd::compile(step);
    for (auto _ : state) compiled(inputs...);
  };
}

void scalar_ops(State& state) { workloads::scalar_ops(state.range(0), eager(state)); }
BENCHMARK(scalar_ops)->Arg(100)->Arg(10000);
void wide_graph(State& state) { workloads::wide_graph(state.range(0), eager(state)); }
BENCHMARK(wide_graph)->Arg(1000);
void xor_step(State& state) { workloads::xor_step(eager(state)); }
BENCHMARK(xor_step);
void mlp_sgd(State& state) { workloads::mlp_sgd(state.range(0), eager(state)); }
BENCHMARK(mlp_sgd)->Apply(settings::batches);
void mlp_adam(State& state) { workloads::mlp_adam(state.range(0), eager(state)); }
BENCHMARK(mlp_adam)->Apply(settings::batches);
void gelu_composed(State& state) { workloads::gelu_composed(eager(state)); }
BENCHMARK(gelu_composed);
void gelu_fused(State& state) { workloads::gelu_fused(eager(state)); }
BENCHMARK(gelu_fused);
void layer_norm(State& state) { workloads::layer_norm(eager(state)); }
BENCHMARK(layer_norm);
void softmax(State& state) { workloads::softmax(eager(state)); }
BENCHMARK(softmax);
void xor_step_replay(State& state) { workloads::xor_step(replay(state)); }
BENCHMARK(xor_step_replay);
void mlp_sgd_replay(State& state) { workloads::mlp_sgd(state.range(0), replay(state)); }
BENCHMARK(mlp_sgd_replay)->Apply(settings::batches);
void mlp_adam_replay(State& state) { workloads::mlp_adam(state.range(0), replay(state)); }
BENCHMARK(mlp_adam_replay)->Apply(settings::batches);
void gelu_composed_replay(State& state) { workloads::gelu_composed(replay(state)); }
BENCHMARK(gelu_composed_replay);
void gelu(State& state) { workloads::gelu(eager(state)); }
BENCHMARK(gelu);
void gelu_replay(State& state) { workloads::gelu(replay(state)); }
BENCHMARK(gelu_replay);
void layer_norm_replay(State& state) { workloads::layer_norm(replay(state)); }
BENCHMARK(layer_norm_replay);
void softmax_replay(State& state) { workloads::softmax(replay(state)); }
BENCHMARK(softmax_replay);
void hessian(State& state) { workloads::hessian(eager(state)); }
BENCHMARK(hessian);
void hessian_replay(State& state) { workloads::hessian(replay(state)); }
BENCHMARK(hessian_replay);
void per_sample_grads(State& state) { workloads::per_sample_grads(eager(state)); }
BENCHMARK(per_sample_grads);
void cnn(State& state) { workloads::cnn(replay(state)); }
BENCHMARK(cnn);
void residual(State& state) { workloads::residual(replay(state)); }
BENCHMARK(residual);
void lstm(State& state) { workloads::recurrent<nn::LSTM>(replay(state)); }
BENCHMARK(lstm);
void gru(State& state) { workloads::recurrent<nn::GRU>(replay(state)); }
BENCHMARK(gru);
void transformer(State& state) {
  workloads::transformer(state.range(0), state.range(1), replay(state));
}
BENCHMARK(transformer)->Args({16, 64})->Args({1, 1024});
void embedding_sgd(State& state) {
  workloads::embedding<nn::optim::SGD>(true, nn::optim::SGDOptions{.lr = 1e-4}, eager(state));
}
BENCHMARK(embedding_sgd);
void embedding_bag_sgd(State& state) { workloads::bags(eager(state)); }
BENCHMARK(embedding_bag_sgd);
void embedding_adam(State& state) {
  workloads::embedding<nn::optim::Adam>(false, nn::optim::AdamOptions{.lr = 1e-5}, eager(state));
}
BENCHMARK(embedding_adam);
void embedding_sparse_adam(State& state) { workloads::embedding_sparse_adam(eager(state)); }
BENCHMARK(embedding_sparse_adam);
void infer_mlp(State& state) { workloads::infer(workloads::mlp(), {1, 784}, eager(state)); }
BENCHMARK(infer_mlp);
void infer_mlp_replay(State& state) { workloads::infer(workloads::mlp(), {1, 784}, replay(state)); }
BENCHMARK(infer_mlp_replay);
void infer_cnn(State& state) {
  workloads::infer(workloads::cnn_model(), {1, 1, 28, 28}, eager(state));
}
BENCHMARK(infer_cnn);
void infer_cnn_replay(State& state) {
  workloads::infer(workloads::cnn_model(), {1, 1, 28, 28}, replay(state));
}
BENCHMARK(infer_cnn_replay);
void word2vec(State& state) {
  const auto sentences = workloads::sentences(state.range(0) / 20);
  for (auto _ : state)
    nn::data::train_word2vec(sentences, {.epochs = 1, .shards = settings::threads()});
}
BENCHMARK(word2vec)->Arg(100000);

void rk4(State& state) { workloads::rk4(true, eager(state)); }
BENCHMARK(rk4);
void rk4_scan(State& state) { workloads::rk4(false, eager(state)); }
BENCHMARK(rk4_scan);
void rk4_scan_replay(State& state) { workloads::rk4(false, replay(state)); }
BENCHMARK(rk4_scan_replay);
void gemm(State& state) {
  workloads::gemm(state.range(0), state.range(1), state.range(2), eager(state));
}
BENCHMARK(gemm)->Apply(settings::gemm_sizes);

}  // namespace

int main(int argc, char** argv) {
  autograd::set_num_threads(settings::threads());
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
