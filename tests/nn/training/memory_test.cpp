#include "autograd/core/memory.hpp"

#include <cstdint>

#include "nn/nn.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;

TEST_CASE("memory is flat over 100,000 steps") {
  nn::Sequential model{nn::Linear(2, 3), nn::Tanh(), nn::Linear(3, 1)};
  nn::optim::Adam optimizer(model.parameters());
  const Tensor x = ag::rand({4, 2}), y = ag::rand({4, 1});
  const auto train = [&](int steps) {
    for (int i = 0; i < steps; ++i) {
      optimizer.zero_grad();
      nn::mse_loss(model(x), y).backward();
      nn::clip_grad_norm_(model.parameters(), 0.1);
      optimizer.step();
    }
  };
  train(1000);
  const auto early = ag::memory_stats();
  train(99000);
  const auto late = ag::memory_stats();
  CHECK(late.in_use == early.in_use);
  CHECK(late.peak == early.peak);
  CHECK(late.kept == early.kept);
}

TEST_CASE("a step takes at most a tenth more memory than the tensors that it needs at once") {
  constexpr std::int64_t batch = 256;
  const auto before = ag::memory_stats().in_use;
  nn::Sequential model{nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(),
                       nn::Linear(128, 10)};
  nn::optim::Adam optimizer(model.parameters());
  const Tensor x = ag::rand({batch, 784}), y = ag::randint(0, 10, {batch});
  for (int i = 0; i < 3; ++i) {
    if (i == 2) ag::reset_peak_memory();
    optimizer.zero_grad();
    nn::cross_entropy(model(x), y).backward();
    optimizer.step();
  }
  const std::int64_t parameters = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10;
  // Where the last gradients are made: parameters, two means of each, their gradients; the samples
  // and their labels (of 8 bytes); the cotangent of the first layer.
  const std::int64_t needed = 4 * (4 * parameters + batch * 784 + batch * 256) + 8 * batch;
  const auto peak = ag::memory_stats().peak - before;
  INFO("peak " << peak << ", needed " << needed);
  CHECK(peak >= needed);
  CHECK(static_cast<double>(peak) <= 1.1 * static_cast<double>(needed));
}
