// usage: [mpirun -n N] rank_steps WHAT [ROUNDS [SHARDS [BUCKET-BYTES]]]   Milliseconds of a training step of the main
// example's network, batch 256, one thread for each rank, the least of some rounds, as JSON, with the bytes
// that rank 0 sends in a step and those of the formula. WHAT is `alone` for a program without DataParallel,
// which adds up the gradients of the shards one after another, `ranks`, `compiled`, `float16` or `bfloat16`.
#include <fmt/core.h>

#include <chrono>
#include <ctime>
#include <string_view>

#include "autograd/autograd.hpp"
#include "nn/distributed.hpp"
#include "nn/nn.hpp"

namespace ag = autograd;
using nn::distributed::Wire;

namespace {

constexpr std::int64_t kBatch = 256;
constexpr int kSteps = 5;  // of a round

nn::Sequential network() {
  return nn::Sequential(nn::Conv2d(1, 32, 3, {.padding = 1}), nn::BatchNorm2d(32), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Conv2d(32, 64, 3, {.padding = 1}),
                        nn::BatchNorm2d(64), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                        nn::Dropout(0.3), nn::MLP(64 * 7 * 7, {128}, 10, {.dropout = 0.3}));
}

double milliseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return double(now.tv_sec) * 1e3 + double(now.tv_nsec) * 1e-6;
}

// What a rank of 2ᵏ sends in a step: halves, quarters … of what is dense, twice; a number for each
// check and each tensor; and rank 0 the counts of batch norm.
double formula(const nn::Module& model, int ranks, Wire wire) {
  double dense = 8, tensors = 1, counts = 0;  // the loss
  for (const ag::Tensor& p : model.parameters())
    dense += double(p.numel()) * (wire == Wire::full ? 4 : 2), ++tensors;
  for (const ag::Tensor& b : model.buffers())
    ag::is_floating(b.dtype()) ? dense += double(b.numel()) * 4 + 8, ++tensors : ++counts;
  return ranks == 1 ? 0 : 2 * dense * (1 - 1.0 / ranks) + 8 * (4 + tensors + counts);
}

}  // namespace

int main(int argc, char** argv) {
  const nn::distributed::World world(argc, argv);
  if (argc < 2) return fmt::print(stderr, "usage: [mpirun -n N] rank_steps WHAT\n"), 2;
  const std::string_view what = argv[1];
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 5;
  const std::int64_t shards = argc > 3 ? std::stoi(argv[3]) : 16;
  nn::distributed::DataParallelOptions options{.shards = shards};
  if (argc > 4) options.bucket_bytes = std::stoi(argv[4]);
  if (what == "float16") options.wire = Wire::float16;
  if (what == "bfloat16") options.wire = Wire::bfloat16;
  ag::manual_seed(1), ag::set_num_threads(1);
  nn::Sequential model = network();
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  nn::distributed::DataParallel parallel(model, world, options);
  const ag::Tensor x = ag::randn({kBatch, 1, 28, 28}), y = ag::randint(0, 10, {kBatch});
  const auto loss = [&](const ag::Tensor& images, const ag::Tensor& labels) {
    return nn::cross_entropy(model(images), labels, {.reduction = nn::Reduction::sum}) /
           double(kBatch);
  };
  auto compiled = parallel.compile(loss);
  const auto step = [&] {
    optimizer.zero_grad();
    if (what == "compiled") {
      compiled(x, y);
    } else if (what != "alone") {
      parallel.backward(x, y, loss);
    } else {
      const std::int64_t rows = kBatch / shards;
      for (std::int64_t s = 0; s < shards; ++s)
        loss(ag::narrow(x, 0, s * rows, rows), ag::narrow(y, 0, s * rows, rows)).backward();
    }
    optimizer.step();
  };
  for (int i = 0; i < 3; ++i) step();
  const std::int64_t before = world.bytes_sent();
  double least = 1e9, cpu = 1e9;
  for (int i = 0; i < rounds; ++i) {
    world.barrier();
    const double start = milliseconds(CLOCK_MONOTONIC),
                 used = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int j = 0; j < kSteps; ++j) step();
    least = std::min(least, (milliseconds(CLOCK_MONOTONIC) - start) / kSteps);
    cpu = std::min(cpu, (milliseconds(CLOCK_PROCESS_CPUTIME_ID) - used) / kSteps);
  }
  const double sent = double(world.bytes_sent() - before) / (rounds * kSteps);
  if (world.rank() == 0)
    fmt::print(
        "{{\"what\": \"{}\", \"ranks\": {}, \"shards\": {}, \"step_ms\": {:.3f}, \"cpu_ms\": "
        "{:.3f}, "
        "\"bytes\": {:.0f}, \"by_formula\": {:.0f}}}\n",
        what, world.size(), shards, least, cpu, sent,
        what == "alone" ? 0 : formula(model, world.size(), options.wire));
}
