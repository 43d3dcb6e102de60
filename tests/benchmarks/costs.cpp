// usage: costs               what the tape and the gradients cost, as lines "name unit value"
//        costs ROW STEPS     runs a row that often and prints nothing: for counting instructions
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workloads.hpp"

#include <unistd.h>

namespace {

namespace ag = autograd;
using ag::Tensor, ag::TensorList;
using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

void print(const std::string& name, const char* unit, double value) {
  std::printf("%s %s %.6g\n", name.c_str(), unit, value);
  std::fflush(stdout);
}

// Runs a step `times` times.
auto repeated(std::int64_t times) {
  return [times](const auto& step, const auto&... inputs) {
    for (std::int64_t i = 0; i < times; ++i) step(inputs...);
  };
}

// Runs a step for a fifth of a second, three times at least; keeps the least time of one.
auto fastest(double& least) {
  return [&least](const auto& step, const auto&... inputs) {
    least = std::numeric_limits<double>::infinity();
    const auto start = Clock::now();
    for (int i = 0; i < 3 || seconds(start, Clock::now()) < 0.2; ++i) {
      const auto before = Clock::now();
      step(inputs...);
      least = std::min(least, seconds(before, Clock::now()));
    }
  };
}

// ---------------------------------------------------------------- backward / forward

struct Times {
  double forward = std::numeric_limits<double>::infinity(), backward = forward;
  double ratio() const { return backward / forward; }
};

// The least time of the recorded forward pass, and of the walk back for gradients of all inputs.
Times measure(const std::function<Tensor(const TensorList&)>& f, const TensorList& inputs) {
  Times least;
  const Tensor cotangent = ag::rand(f(inputs).shape());
  const auto start = Clock::now();
  for (int i = 0; i < 10 || seconds(start, Clock::now()) < 0.05; ++i) {
    const auto before = Clock::now();
    const Tensor y = f(inputs);
    const auto between = Clock::now();
    const TensorList gradients = ag::grad({y}, inputs, {.grad_outputs = {cotangent}});
    const auto after = Clock::now();
    least.forward = std::min(least.forward, seconds(before, between));
    least.backward = std::min(least.backward, seconds(between, after));
  }
  return least;
}

struct Row {
  const char* name;
  std::function<Tensor(const TensorList&)> f;
  TensorList inputs;
};

void family(const std::string& name, const std::vector<Row>& rows) {
  const std::string prefix = "backward/forward/" + name;
  Times total{0, 0};
  for (const Row& row : rows) {
    const Times t = measure(row.f, row.inputs);
    print(prefix + "/" + row.name, "x", t.ratio());
    total.forward += t.forward;
    total.backward += t.backward;
  }
  print(prefix, "x", total.ratio());
}

void families() {
  constexpr std::int64_t n = 256;
  const auto input = [](const ag::Shape& shape) {
    return (ag::rand(shape) + 0.5).requires_grad_();
  };
  const Tensor x = input({n, n}), y = input({n, n}), row = input({n}), cube = input({16, 16, n});
  const Tensor index = ag::randint(0, n, {n}), places = ag::randint(0, n, {n, n});
  const Tensor mask = ag::rand({n, n}) < 0.5;
  Tensor spd = (ag::matmul(x, ag::transpose(x)) + n * ag::eye(n)).detach().requires_grad_();

  family("elementwise", {{"mul", [](auto& in) { return in[0] * in[1]; }, {x, y}},
                         {"broadcast_add", [](auto& in) { return in[0] + in[1]; }, {x, row}},
                         {"div", [](auto& in) { return in[0] / in[1]; }, {x, y}},
                         {"exp", [](auto& in) { return ag::exp(in[0]); }, {x}},
                         {"tanh", [](auto& in) { return ag::tanh(in[0]); }, {x}},
                         {"relu", [](auto& in) { return ag::relu(in[0]); }, {x}},
                         {"pow", [](auto& in) { return ag::pow(in[0], in[1]); }, {x, y}}});
  family("reductions", {{"sum", [](auto& in) { return ag::sum(in[0], 1); }, {x}},
                        {"mean", [](auto& in) { return ag::mean(in[0], 0); }, {x}},
                        {"max", [](auto& in) { return ag::max(in[0], 1); }, {x}},
                        {"var", [](auto& in) { return ag::var(in[0], 1); }, {x}},
                        {"logsumexp", [](auto& in) { return ag::logsumexp(in[0], 1); }, {x}},
                        {"cumsum", [](auto& in) { return ag::cumsum(in[0], 1); }, {x}}});
  family("movement", {{"transpose", [](auto& in) { return ag::transpose(in[0]); }, {x}},
                      {"permute",
                       [](auto& in) {
                         return ag::permute(in[0], {1, 0, 2});
                       },
                       {cube}},
                      {"concat", [](auto& in) { return ag::concat(in, 1); }, {x, y}},
                      {"flip", [](auto& in) { return ag::flip(in[0], 1); }, {x}},
                      {"pad",
                       [](auto& in) {
                         return ag::pad(in[0], {1, 1});
                       },
                       {x}},
                      {"expand",
                       [](auto& in) {
                         return ag::expand(in[0], {n, n});
                       },
                       {row}}});
  family(
      "indexing",
      {{"narrow", [](auto& in) { return ag::narrow(in[0], 1, 64, 128); }, {x}},
       {"index_select", [=](auto& in) { return ag::index_select(in[0], 0, index); }, {x}},
       {"gather", [=](auto& in) { return ag::gather(in[0], 1, places); }, {x}},
       {"scatter_add", [=](auto& in) { return ag::scatter_add(in[0], 1, places, in[1]); }, {x, y}},
       {"masked_select", [=](auto& in) { return ag::masked_select(in[0], mask); }, {x}}});
  family("linalg",
         {{"matmul", [](auto& in) { return ag::matmul(in[0], in[1]); }, {x, y}},
          {"linear", [](auto& in) { return ag::linear(in[0], in[1], in[2]); }, {x, y, row}},
          {"solve", [](auto& in) { return ag::solve(in[0], in[1]); }, {spd, y}},
          {"inv", [](auto& in) { return ag::inv(in[0]); }, {spd}},
          {"cholesky", [](auto& in) { return ag::cholesky(in[0]); }, {spd}}});
  family("fused",
         {{"softmax", [](auto& in) { return ag::softmax(in[0], 1); }, {x}},
          {"log_softmax", [](auto& in) { return ag::log_softmax(in[0], 1); }, {x}},
          {"cross_entropy", [=](auto& in) { return ag::cross_entropy(in[0], index); }, {x}},
          {"layer_norm", [](auto& in) { return ag::layer_norm(in[0], {n}); }, {x}}});
}

// A training step without the optimizer: the gradients of all parameters.
void whole_mlp() {
  const nn::Sequential model = workloads::mlp();
  for (const std::int64_t batch : {1, 64, 256}) {
    const Tensor x = ag::rand({batch, 784}), labels = ag::randint(0, 10, {batch});
    const auto forward = [&](const TensorList&) { return workloads::mlp_loss(model(x), labels); };
    print("backward/forward/mlp/" + std::to_string(batch), "x",
          measure(forward, model.parameters()).ratio());
  }
}

// ---------------------------------------------------------------- the tape

// The memory of this process that is in RAM.
double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void memory_of_a_chain() {
  constexpr int length = 1'000'000;
  const Tensor a = ag::ones({1}).requires_grad_();
  const double before = resident_bytes();
  Tensor z = a;
  for (int i = 0; i < length; ++i) z = z * a;
  print("memory/scalar_op", "bytes", (resident_bytes() - before) / length);
}

void tape() {
  double time = 0;
  for (std::int64_t n = 10; n <= 1'000'000; n *= 10) {
    workloads::scalar_ops(n, fastest(time));
    print("depth/" + std::to_string(n), "ns/op", time / static_cast<double>(n) * 1e9);
  }
  for (std::int64_t n = 10; n <= 100'000; n *= 10) {
    workloads::wide_graph(n, fastest(time));
    print("width/" + std::to_string(n), "ns/branch", time / static_cast<double>(n) * 1e9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    const std::string_view row = argv[1];
    const auto run = repeated(std::atoll(argv[2]));
    if (row == "scalar_ops")
      workloads::scalar_ops(1000, run);
    else if (row == "xor_step")
      workloads::xor_step(run);
    else if (row == "mlp_sgd")
      workloads::mlp_sgd(1, run);
    else if (row == "mlp_adam")
      workloads::mlp_adam(1, run);
    else
      return 2;
    return 0;
  }
  memory_of_a_chain();  // first: later the pool has memory to reuse
  tape();
  families();
  whole_mlp();
}
