#include "autograd/autograd.hpp"
#include "nn/nn.hpp"

#include <cstring>

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
