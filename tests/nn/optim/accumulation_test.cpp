#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/linear.hpp"
#include "nn/optim/adam.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

TEST_CASE("gradients of parts of a batch add up to those of the batch, eager and compiled") {
  ag::manual_seed(2);
  const ag::Tensor x = ag::randn({8, 3}, ag::float64);
  nn::Linear start(3, 2);
  start.to(ag::float64);
  const auto run = [&](int parts, bool compiled) {
    nn::Linear model = start;
    nn::optim::Adam optimizer(model.parameters(), {.lr = 0.1});
    const auto part = [&](const ag::Tensor& rows) {
      const ag::Tensor loss = ag::mean(ag::square(model(rows) - 1)) / double(parts);
      loss.backward();
      return loss;
    };
    const auto update = [&](const ag::Tensor& unused) {
      optimizer.step();
      optimizer.zero_grad();
      return unused;
    };
    auto part_again = ag::compile(part);
    auto update_again = ag::compile(update);
    for (int step = 0; step < 4; ++step) {
      for (const ag::Tensor& rows : ag::split(x, 8 / parts))
        compiled ? part_again(rows) : part(rows);
      compiled ? update_again(ag::zeros({1})) : update(ag::zeros({1}));
    }
    return model.weight.to_vector<double>();
  };
  const auto whole = run(1, false), parts = run(4, false), replayed = run(4, true);
  CHECK(replayed == parts);
  for (std::size_t i = 0; i < whole.size(); ++i)
    CHECK(parts[i] == Catch::Approx(whole[i]).epsilon(1e-12));
}
