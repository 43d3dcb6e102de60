#include "autograd/autograd.hpp"
#include "nn/nn.hpp"

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/catch.hpp"

namespace ag = autograd;

namespace {

// The parameters after some steps.
ag::TensorList train(int threads, std::int64_t batch) {
  ag::set_num_threads(threads);
  ag::manual_seed(5);
  nn::Sequential model{nn::Linear(784, 256), nn::ReLU(), nn::LayerNorm(ag::Shape{256}),
                       nn::Linear(256, 128), nn::Tanh(), nn::Linear(128, 10)};
  nn::optim::Adam optimizer(model.parameters(), {.lr = 1e-3});
  const ag::Tensor x = ag::rand({batch, 784}), y = ag::randint(0, 10, {batch});
  for (int step = 0; step < 8; ++step) {
    optimizer.zero_grad();
    nn::cross_entropy(model(x), y).backward();
    optimizer.step();
  }
  ag::set_num_threads(1);
  return model.parameters();
}

}  // namespace

TEST_CASE("training gives the same bits with any number of threads", "[threads]") {
  for (const std::int64_t batch : {1, 64, 256, 1000}) {
    const ag::TensorList one = train(1, batch);
    for (const int threads : {2, 3, 7}) {
      const ag::TensorList many = train(threads, batch);
      for (std::size_t i = 0; i < one.size(); ++i) {
        INFO("batch " << batch << ", " << threads << " threads, parameter " << i);
        CHECK(std::memcmp(one[i].raw(), many[i].raw(),
                          static_cast<std::size_t>(one[i].numel()) * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("threads take gradients through one constant model, in any number", "[threads]") {
  ag::manual_seed(5);
  const nn::MLP model(3, {8, 8}, 2, {.activation = nn::Tanh(), .layer_norm = true});
  const ag::TensorList parameters = model.parameters();
  const ag::Tensor x = ag::randn({6, 3}), y = ag::randint(0, 2, {6});
  const auto loss = [&] { return nn::cross_entropy(model(x), y); };
  const ag::TensorList expected = ag::grad({loss()}, parameters);
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const ag::TensorList g = ag::grad({loss()}, parameters);
        bool same = true;
        for (std::size_t k = 0; k < g.size(); ++k)
          same = same && std::memcmp(g[k].raw(), expected[k].raw(),
                                     static_cast<std::size_t>(g[k].numel()) * sizeof(float)) == 0;
        right += same;
        loss().backward();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(right == 200);
  // Each of the 200 gradients is in the totals.
  for (std::size_t k = 0; k < parameters.size(); ++k)
    CHECK(ag::max(ag::abs(parameters[k].grad() / 200 - expected[k])).item() < 1e-4);
}
