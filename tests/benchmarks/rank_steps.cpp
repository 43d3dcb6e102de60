// usage: [mpirun -n N] rank_steps WHAT [ROUNDS [SHARDS]]   Milliseconds of a training step of the main example's
// network, batch 256, one thread for each rank, the least of some rounds: as JSON, with the bytes that a step
// sends and those of the formula. WHAT is `alone` for a program without this component, which adds up the
// gradients of the shards one after another, or `ranks`.
#include <fmt/core.h>

#include <chrono>
#include <string_view>

#include "autograd/autograd.hpp"
#include "nn/distributed.hpp"
#include "nn/nn.hpp"

namespace ag = autograd;

namespace {

constexpr std::int64_t kBatch = 256;
constexpr int kSteps = 5;  // of a round

nn::Sequential network() {
  return nn::Sequential(nn::Conv2d(1, 32, 3, {.padding = 1}), nn::BatchNorm2d(32), nn::ReLU(),
                        nn::MaxPool2d(2), nn::Conv2d(32, 64, 3, {.padding = 1}),
                        nn::BatchNorm2d(64), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                        nn::Dropout(0.3), nn::MLP(64 * 7 * 7, {128}, 10, {.dropout = 0.3}));
}

}  // namespace

int main(int argc, char** argv) {
  const nn::distributed::World world(argc, argv);
  if (argc < 2) return fmt::print(stderr, "usage: [mpirun -n N] rank_steps WHAT\n"), 2;
  const bool alone = std::string_view(argv[1]) == "alone";
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 5;
  const std::int64_t shards = argc > 3 ? std::stoi(argv[3]) : 16;
  ag::manual_seed(1), ag::set_num_threads(1);
  nn::Sequential model = network();
  nn::optim::AdamW optimizer(model.parameters(), {.lr = 1e-3});
  nn::distributed::DataParallel parallel(model, world, {.shards = shards});
  const ag::Tensor x = ag::randn({kBatch, 1, 28, 28}), y = ag::randint(0, 10, {kBatch});
  const auto loss = [&](const ag::Tensor& images, const ag::Tensor& labels) {
    return nn::cross_entropy(model(images), labels, {.reduction = nn::Reduction::sum}) /
           double(kBatch);
  };
  const auto step = [&] {
    optimizer.zero_grad();
    if (!alone) {
      parallel.backward(x, y, loss);
    } else {
      const std::int64_t rows = kBatch / shards;
      for (std::int64_t s = 0; s < shards; ++s)
        loss(ag::narrow(x, 0, s * rows, rows), ag::narrow(y, 0, s * rows, rows)).backward();
    }
    optimizer.step();
  };
  step(), step();
  const std::int64_t before = world.bytes_sent();
  double least = 1e9;
  for (int i = 0; i < rounds; ++i) {
    world.barrier();
    const auto start = std::chrono::steady_clock::now();
    for (int j = 0; j < kSteps; ++j) step();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    least = std::min(least, time.count() / kSteps);
  }
  const std::int64_t sent = (world.bytes_sent() - before) / (rounds * kSteps);
  if (world.rank() == 0)
    fmt::print(
        "{{\"what\": \"{}\", \"ranks\": {}, \"shards\": {}, \"step_ms\": {:.3f}, \"bytes\": {}}}\n",
        argv[1], world.size(), shards, least, sent);
}
