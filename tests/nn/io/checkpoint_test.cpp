#include "nn/io/checkpoint.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "autograd/ops/ops.hpp"
#include "nn/data/dataloader.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/linear.hpp"
#include "nn/losses/losses.hpp"
#include "nn/optim/optim.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Net : nn::Module {
  nn::Linear hidden{4, 8}, output{8, 1};
  nn::Dropout dropout{0.3};
  NN_MODULE(hidden, output, dropout)
  Tensor forward(const Tensor& x) { return output(dropout(ag::tanh(hidden(x)))); }
};

// A run whose every step depends on the weights, the optimizer, two schedules, the order of the
// data, dropout (from the default generator) and noise from a generator of its own.
struct Run {
  Net model;
  optim::Adam optimizer{model.parameters(), {.lr = 0.05, .weight_decay = 0.01, .amsgrad = true}};
  optim::CosineAnnealingLR cosine{optimizer, {.T_max = 7}};
  optim::LinearWarmup warmup{optimizer, {.steps = 2}, cosine};
  optim::ReduceLROnPlateau plateau{optimizer, {.factor = 0.9, .patience = 0}};
  ag::Generator noise{99}, order{0xfedcba9876543210};
  nn::Checkpoint checkpoint{{"model", model},     {"optimizer", optimizer}, {"warmup", warmup},
                            {"plateau", plateau}, {"noise", noise},         {"order", order}};
  std::string path;

  explicit Run(std::string file) : path(std::move(file)) {}

  void train(std::int64_t epochs, const Tensor& x, const Tensor& y) {
    for (; checkpoint.epoch < epochs; ++checkpoint.epoch) {
      const Tensor rows = ag::randperm(x.size(0), order);
      double total = 0;
      for (std::int64_t i = 0; i + 5 <= x.size(0); i += 5) {
        const Tensor batch = ag::narrow(rows, 0, i, 5);
        const Tensor input = ag::index_select(x, 0, batch);
        optimizer.zero_grad();
        const Tensor jitter = 0.1 * ag::randn(input.shape(), ag::float32, noise);
        const Tensor loss = nn::mse_loss(model(input + jitter), ag::index_select(y, 0, batch));
        loss.backward();
        optimizer.step();
        total += loss.item();
        ++checkpoint.step;
      }
      warmup.step();
      plateau.step(total);
      checkpoint.numbers["loss"] = total;
    }
  }
};

std::vector<float> weights(const Net& model) {
  std::vector<float> all;
  for (const auto& p : model.parameters())
    for (const float x : p.to_vector<float>()) all.push_back(x);
  return all;
}

}  // namespace

TEST_CASE("a resumed run ends with the same bits as an uninterrupted one") {
  const Scratch scratch;
  const auto path = scratch / "run.safetensors";
  ag::Generator g(3);
  const Tensor x = ag::randn({23, 4}, ag::float32, g), y = ag::randn({23, 1}, ag::float32, g);

  ag::manual_seed(1);
  Run whole(path);
  whole.train(6, x, y);

  for (const std::int64_t stop : {0, 1, 3, 5}) {
    ag::manual_seed(1);
    Run first(path);
    first.train(stop, x, y);
    first.checkpoint.save(path);

    ag::manual_seed(777);  // whatever state the new process is in
    Run second(path);
    second.checkpoint.load(path);
    CHECK(second.checkpoint.epoch == stop);
    CHECK(second.checkpoint.step == stop * 4);
    second.train(6, x, y);
    CHECK(weights(second.model) == weights(whole.model));
    CHECK(second.checkpoint.numbers == whole.checkpoint.numbers);
    CHECK(second.optimizer.lr() == whole.optimizer.lr());
    CHECK(second.order.state() == whole.order.state());
  }
}

TEST_CASE("a run resumed in the middle of an epoch sees the rest of its batches") {
  const Scratch scratch;
  const auto path = scratch / "run.safetensors";
  ag::Generator g(3);
  const nn::data::TensorDataset data{ag::randn({10, 4}, ag::float32, g),
                                     ag::randn({10, 1}, ag::float32, g)};
  // Trains for two epochs, stopping after `stop` steps; returns the weights.
  auto run = [&](std::int64_t stop, bool resume) {
    ag::manual_seed(resume ? 5 : 1);
    Net model;
    optim::SGD optimizer(model.parameters(), {.lr = 0.1, .momentum = 0.9});
    nn::data::DataLoader loader(data, {.batch_size = 3, .shuffle = true, .seed = 4});
    nn::Checkpoint checkpoint{{"model", model}, {"optimizer", optimizer}};
    if (resume) {
      checkpoint.load(path);
      loader.set_epoch(checkpoint.epoch, checkpoint.step);
    }
    for (; checkpoint.epoch < 2; ++checkpoint.epoch, checkpoint.step = 0)
      for (const auto& [input, target] : loader) {
        optimizer.zero_grad();
        nn::mse_loss(model(input), target).backward();
        optimizer.step();
        ++checkpoint.step;
        if (--stop == 0) {
          checkpoint.save(path);
          return weights(model);
        }
      }
    return weights(model);
  };
  const auto whole = run(-1, false);
  for (const std::int64_t stop : {1, 3, 5, 7}) {
    run(stop, false);
    CHECK(run(-1, true) == whole);
  }
}

TEST_CASE("a checkpoint keeps numbers to the last bit, and text") {
  const Scratch scratch;
  const auto path = scratch / "c.safetensors";
  ag::Generator g(0xffffffffffffffff);
  nn::Checkpoint checkpoint{{"g", g}};
  checkpoint.epoch = INT64_MAX;
  checkpoint.step = -1;
  checkpoint.numbers = {
      {"tenth", 0.1}, {"least", 5e-324}, {"none", INFINITY}, {"dotted.name", -0.0}};
  checkpoint.strings = {{"name", "größe\n"}, {"", ""}};
  g.next_u32();
  checkpoint.save(path);

  ag::Generator other;
  nn::Checkpoint loaded{{"g", other}};
  loaded.numbers["gone"] = 1;
  loaded.strings["gone"] = "x";
  loaded.load(path);
  CHECK(loaded.epoch == INT64_MAX);
  CHECK(loaded.step == -1);
  CHECK(loaded.numbers == checkpoint.numbers);
  CHECK(std::signbit(loaded.numbers["dotted.name"]));
  CHECK(loaded.strings == checkpoint.strings);
  CHECK(other.state() == g.state());
  CHECK(other.next_u64() == g.next_u64());
}

TEST_CASE("the tensors of a checkpoint are named by part") {
  const Scratch scratch;
  const auto path = scratch / "c.safetensors";
  nn::Linear model(2, 1);
  nn::Checkpoint{{"model", model}}.save(path);
  std::string names;
  for (const auto& [name, tensor] : nn::load_tensors(path)) names += name + ' ';
  CHECK(names == "epoch step model.weight model.bias default_generator.state ");
}

TEST_CASE("a checkpoint of other parts is refused") {
  const Scratch scratch;
  const auto path = scratch / "c.safetensors";
  nn::Linear model(2, 1), larger(3, 1);
  optim::SGD optimizer(model.parameters());
  nn::Checkpoint{{"model", model}}.save(path);
  CHECK_THROWS_WITH((nn::Checkpoint{{"model", model}, {"optimizer", optimizer}}.load(path)),
                    path +
                        ": must hold the parts model, optimizer, default_generator, got model, "
                        "default_generator");
  CHECK_THROWS_WITH((nn::Checkpoint{{"model", larger}}.load(path)),
                    path +
                        ": load_state_dict: names and shapes must be those of Linear, got shape of "
                        "weight (1, 2) for (1, 3)");
  larger.to(ag::float64);
  CHECK_THROWS_WITH((nn::Checkpoint{{"model", larger}}.load(path)),
                    ContainsSubstring("dtypes must be those of the model"));
}

TEST_CASE("a file that is no checkpoint is refused") {
  const Scratch scratch;
  const auto path = scratch / "c.safetensors";
  nn::Linear model(2, 1);
  nn::Checkpoint checkpoint{{"model", model}};
  nn::save(model, path);
  CHECK_THROWS_WITH(
      checkpoint.load(path),
      path +
          ": must be a checkpoint, got the format 'pt'; nn::load reads the weights of a "
          "model");
  nn::save(model.state_dict(), path);
  CHECK_THROWS_WITH(checkpoint.load(path), ContainsSubstring("got a file without a format"));
  nn::write_safetensors(path, {}, {{"format", "xgrad.checkpoint.1"}});
  CHECK_THROWS_WITH(checkpoint.load(path),
                    path + ": must hold the parts model, default_generator, got none");
  nn::write_safetensors(path, {},
                        {{"format", "xgrad.checkpoint.1"}, {"parts", "model, default_generator"}});
  CHECK_THROWS_WITH(checkpoint.load(path),
                    path + ": Checkpoint: the state must have an entry 'epoch', got none");
}

TEST_CASE("a checkpoint that fails to load changes nothing") {
  const Scratch scratch;
  const auto path = scratch / "c.safetensors";
  nn::Linear model(2, 1), other(2, 1);
  optim::SGD optimizer(model.parameters(), {.lr = 0.5});
  optim::Adam adam(other.parameters(), {.lr = 0.25});
  nn::Checkpoint saved{{"model", model}, {"optimizer", optimizer}};
  saved.epoch = 7;
  saved.save(path);

  const auto before = other.weight.to_vector<float>();
  const auto generator = ag::default_generator().state();
  nn::Checkpoint loaded{{"model", other}, {"optimizer", adam}};
  CHECK_THROWS_WITH(loaded.load(path),
                    ContainsSubstring("Adam: the state must be that of Adam, got one of SGD"));
  CHECK(other.weight.to_vector<float>() == before);
  CHECK(adam.lr() == 0.25);
  CHECK(loaded.epoch == 0);
  CHECK(ag::default_generator().state() == generator);
}

TEST_CASE("the names of parts must be unique and plain") {
  nn::Linear model(2, 1);
  using nn::Checkpoint;
  const std::string rule =
      "Checkpoint: names must be unique, without dots and commas, and not epoch, step, number or "
      "default_generator, got ";
  CHECK_THROWS_WITH((Checkpoint{{"m", model}, {"m", model}}), rule + "'m'");
  for (const std::string name : {"", "a.b", "a,b", "epoch", "number", "default_generator"})
    CHECK_THROWS_WITH((Checkpoint{{name, model}}), rule + '\'' + name + '\'');
}

TEST_CASE("anything with a state dict can be part of a checkpoint") {
  struct Counter {
    std::int64_t n = 0;
    nn::StateDict state_dict() const { return {{"n", ag::tensor(n)}}; }
    void load_state_dict(const nn::StateDict& state) { n = state.at("n").item<std::int64_t>(); }
  };
  const Scratch scratch;
  const auto path = scratch / "c.safetensors";
  Counter counter{41}, other;
  nn::Checkpoint{{"counter", counter}}.save(path);
  nn::Checkpoint{{"counter", other}}.load(path);
  CHECK(other.n == 41);
}

TEST_CASE("a checkpoint refuses other options by their name") {
  const Scratch scratch;
  const std::string path = scratch / "run";
  nn::Linear model(1, 1);
  nn::Checkpoint saved{{"model", model}}, other{{"model", model}};
  saved.options = {{"--lr", "0.1"}, {"--seed", "1"}};
  saved.save(path);
  const auto refuses = [&](const std::map<std::string, std::string>& options,
                           const std::string& what) {
    other.options = options;
    other.epoch = 5;
    CHECK_THROWS_WITH(other.load(path), path + ": " + what);
    CHECK(other.epoch == 5);
  };
  refuses({{"--lr", "0.2"}, {"--seed", "1"}}, "--lr must be 0.1 as in the saved run, got 0.2");
  refuses({{"--lr", "0.1"}}, "--seed must be 1 as in the saved run, got none");
  refuses({{"--lr", "0.1"}, {"--seed", "1"}, {"-x", "2"}},
          "-x must be none as in the saved run, got 2");
  other.options = saved.options;
  other.load(path);
  CHECK(other.epoch == 0);
}
