#include "nn/optim/averages.hpp"

#include <cmath>

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/io/checkpoint.hpp"
#include "nn/layers/linear.hpp"
#include "nn/optim/sgd.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace optim = nn::optim;

namespace {

struct Net : nn::Module {
  nn::Linear layer{2, 1};
  nn::Buffer seen{ag::zeros({1})};
  nn::Buffer count{ag::zeros({1}, ag::int64)};
  NN_MODULE(layer, seen, count)
  ag::Tensor forward(const ag::Tensor& x) const { return layer(x); }
};

void fill(Net& net, double value) {
  for (ag::Tensor p : net.parameters()) p.copy_(ag::full(p.shape(), value));
  for (ag::Tensor b : net.buffers()) b.copy_(ag::full(b.shape(), value).to(b.dtype()));
}
float first(const Net& net) { return net.layer.weight.to_vector<float>()[0]; }
float seen(const Net& net) { return net.seen.to_vector<float>()[0]; }
std::int64_t count(const Net& net) { return net.count.to_vector<std::int64_t>()[0]; }

}  // namespace

TEST_CASE("EMA begins with the first update and decays from there") {
  Net net, shown;
  optim::EMA average(net, {.decay = 0.75});
  for (const double value : {4.0, 8.0, 12.0}) {
    fill(net, value);
    average.update();
  }
  CHECK(average.n_averaged() == 3);
  average.apply_to(shown);
  CHECK(first(shown) == 6.75f);  // ((4 · 3 + 8) / 4 · 3 + 12) / 4
  CHECK(seen(shown) == 12);
  CHECK(count(shown) == 12);
  CHECK(first(net) == 12);
  average.apply_to(net);
  CHECK(first(net) == 6.75f);
}

TEST_CASE("SWA is the mean of all updates, of buffers too if told so") {
  Net net, shown;
  optim::SWA average(net, {.use_buffers = true});
  for (const double value : {1.0, 2.0, 6.0}) {
    fill(net, value);
    average.update();
  }
  average.apply_to(shown);
  CHECK(first(shown) == 3);
  CHECK(seen(shown) == 3);
  CHECK(count(shown) == 6);
}

TEST_CASE("an average that was not updated is what the model was") {
  Net net, shown;
  fill(net, 5);
  const optim::EMA average(net);
  fill(net, 7);
  average.apply_to(shown);
  CHECK(first(shown) == 5);
}

TEST_CASE("an average in a compiled step has the bits of the eager one") {
  const auto run = [](bool compiled) {
    ag::manual_seed(3);
    Net net;
    optim::SGD optimizer(net.parameters(), {.lr = 0.1});
    optim::EMA average(net, {.decay = 0.9});
    const auto step = [&](const ag::Tensor& x) {
      optimizer.zero_grad();
      const ag::Tensor loss = ag::mean(ag::square(net(x)));
      loss.backward();
      optimizer.step();
      average.update();
      return loss;
    };
    auto replayed = ag::compile(step);
    const ag::Tensor x = ag::randn({4, 2});
    for (int i = 0; i < 5; ++i) compiled ? replayed(x) : step(x);
    if (compiled) CHECK(replayed.recordings() == 1);
    CHECK(average.n_averaged() == 5);
    average.apply_to(net);
    return net.layer.weight.to_vector<float>();
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("a checkpoint carries an average on") {
  const Scratch scratch;
  const std::string path = scratch / "average.safetensors";
  Net net, other;
  optim::EMA average(net, {.decay = 0.5}), resumed(other, {.decay = 0.5});
  for (const double value : {1.0, 3.0}) {
    fill(net, value);
    average.update();
  }
  nn::Checkpoint{{"model", net}, {"average", average}}.save(path);
  nn::Checkpoint{{"model", other}, {"average", resumed}}.load(path);
  CHECK(resumed.n_averaged() == 2);
  fill(other, 4);
  resumed.update();
  resumed.apply_to(other);
  CHECK(first(other) == 3);
  CHECK(average.state_dict().at("module.layer.weight").shape() == ag::Shape({1, 2}));
  optim::SWA swa(other);
  CHECK_THROWS(swa.load_state_dict(average.state_dict()));
}

TEST_CASE("an average follows a model to another dtype") {
  Net net;
  optim::EMA average(net, {.decay = 0.5});
  fill(net, 1);
  average.update();
  net.to(ag::float64);
  net.layer.weight.copy_(ag::full({1, 2}, 2.0, ag::float64));
  average.update();
  average.apply_to(net);
  CHECK(net.layer.weight.to_vector<double>()[0] == 1.5);
}

TEST_CASE("an average refuses what does not fit") {
  Net net;
  CHECK_THROWS_WITH(optim::EMA(net, {.decay = 1.5}),
                    "EMA: decay must be at least 0 and at most 1, got 1.5");
  const optim::EMA average(net);
  nn::Linear wide(3, 1), narrow(2, 1);
  CHECK_THROWS_WITH(
      average.apply_to(wide),
      "EMA: the model must have the 4 parameters and buffers that were averaged, got 2");
  const optim::SWA own(narrow);
  CHECK_THROWS_WITH(own.apply_to(wide),
                    "SWA: the model must have 'weight' of shape (1, 2) as was "
                    "averaged, got 'weight' of (1, 3)");
}
