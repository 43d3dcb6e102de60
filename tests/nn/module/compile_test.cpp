#include "autograd/compile.hpp"

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

void check_equal(const nn::Module& a, const nn::Module& b) {
  const auto x = a.named_parameters(), y = b.named_parameters();
  for (std::size_t i = 0; i < x.size(); ++i) {
    INFO(x[i].name);
    CHECK(same_bits(x[i].tensor, y[i].tensor));
    CHECK(same_bits(x[i].tensor.grad(), y[i].tensor.grad()));
  }
}

// Trains a model and a copy of it, one eager and one compiled, from the same random numbers, and
// compares losses, parameters and gradients after each step. `change(i, optimizer, model)` is what
// the program does between the steps.
template <class Optimizer, class Model, class Loss, class Options, class Change>
std::size_t train_twice(Model model, const Options& options, const Loss& loss,
                        const std::vector<std::pair<Tensor, Tensor>>& batches,
                        const Change& change) {
  Model twin = model;
  Optimizer optimizer(model.parameters(), options), twin_optimizer(twin.parameters(), options);
  auto step_of = [&loss](Model& m, Optimizer& o) {
    return [&](const Tensor& x, const Tensor& y) {
      o.zero_grad();
      const Tensor l = loss(m(x), y);
      l.backward();
      nn::clip_grad_norm_(m.parameters(), 0.5);
      o.step();
      return l;
    };
  };
  auto eager = step_of(model, optimizer);
  auto compiled = ag::compile(step_of(twin, twin_optimizer));
  for (int i = 0; i < 20; ++i) {
    change(i, optimizer, model);
    change(i, twin_optimizer, twin);
    const auto& [x, y] = batches[static_cast<std::size_t>(i) % batches.size()];
    const auto random = ag::default_generator().state();
    const Tensor a = eager(x, y);
    const auto after = ag::default_generator().state();
    ag::default_generator().set_state(random);
    const Tensor b = compiled(x, y);
    CHECK(ag::default_generator().state() == after);
    CHECK(same_bits(a, b));
    check_equal(model, twin);
  }
  return compiled.recordings();
}

constexpr auto nothing = [](int, auto&, auto&) {};
constexpr auto cross_entropy = [](const Tensor& z, const Tensor& y) {
  return nn::cross_entropy(z, y);
};

std::vector<std::pair<Tensor, Tensor>> classified(std::int64_t in,
                                                  std::vector<std::int64_t> sizes) {
  std::vector<std::pair<Tensor, Tensor>> out;
  for (const std::int64_t n : sizes) out.emplace_back(ag::rand({n, in}), ag::randint(0, 3, {n}));
  return out;
}

}  // namespace

TEST_CASE("a compiled training step gives the bits of the eager one: classifier with Adam") {
  ag::manual_seed(1);
  nn::MLP model(6, {16, 8}, 3, {.dropout = 0.3, .layer_norm = true});
  CHECK(train_twice<nn::optim::Adam>(model, nn::optim::AdamOptions{.lr = 1e-2}, cross_entropy,
                                     classified(6, {10, 10, 10}), nothing) == 1);
}

TEST_CASE("a compiled training step is described with its losses, random draws and updates") {
  nn::MLP model(6, {8}, 3, {.dropout = 0.25});
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1});
  auto step = ag::compile([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor l = nn::cross_entropy(model(x), y);
    l.backward();
    optimizer.step();
    return l;
  });
  const auto [x, y] = classified(6, {10})[0];
  (void)step(x, y);
  const std::string text = step.describe();
  for (const auto* part :
       {" = linear(biased=true) of a0 (10, 6) float32, ", " = bernoulli(draw.p=0.75)\n",
        " = cross_entropy(smoothing=0, ignore=-100) of ", " = cross_entropy_gradient(smoothing=0, ",
        "\nSGD of v", " into t", "\ngradient of a tensor of the program: v", "\nreturn v"})
    CHECK_THAT(text, ContainsSubstring(part));
}

TEST_CASE("a compiled training step follows a last, smaller batch") {
  ag::manual_seed(2);
  nn::MLP model(6, {16}, 3);
  CHECK(train_twice<nn::optim::SGD>(model, nn::optim::SGDOptions{.lr = 0.1, .momentum = 0.9},
                                    cross_entropy, classified(6, {10, 10, 7}), nothing) == 2);
}

TEST_CASE("a compiled training step uses the learning rate and options of the moment") {
  ag::manual_seed(3);
  nn::MLP model(6, {16}, 3, {.activation = nn::GELU()});
  CHECK(train_twice<nn::optim::AdamW>(model, nn::optim::AdamWOptions{.lr = 1e-2, .amsgrad = true},
                                      cross_entropy, classified(6, {10}),
                                      [](int i, auto& optimizer, auto&) {
                                        optimizer.set_lr(1e-2 / (i + 1));
                                        if (i == 10) {
                                          auto options = optimizer.options();
                                          options.weight_decay = 0.3;
                                          optimizer.set_options(options);
                                        }
                                      }) == 1);
}

TEST_CASE("a compiled training step follows train() and eval()") {
  ag::manual_seed(4);
  nn::MLP model(6, {16}, 3, {.dropout = 0.5});
  const auto recordings = train_twice<nn::optim::RMSprop>(
      model, nn::optim::RMSpropOptions{.lr = 1e-3}, cross_entropy, classified(6, {10}),
      [](int i, auto&, auto& m) { m.train(i % 10 < 5); });
  CHECK(recordings > 1);
}

TEST_CASE("a compiled training step follows a model to another dtype") {
  ag::manual_seed(5);
  nn::MLP model(2, {8}, 1);
  nn::MLP twin = model;
  nn::optim::Adagrad a(model.parameters(), {}), b(twin.parameters(), {});
  const Tensor x = ag::rand({4, 2}), y = ag::rand({4, 1});
  auto step_of = [](nn::MLP& m, auto& o) {
    return [&](const Tensor& in, const Tensor& target) {
      o.zero_grad();
      const Tensor l = nn::huber_loss(m(in), target);
      l.backward();
      o.step();
      return l;
    };
  };
  auto eager = step_of(model, a);
  auto compiled = ag::compile(step_of(twin, b));
  for (const auto dtype : {ag::float32, ag::float64}) {
    model.to(dtype), twin.to(dtype);
    for (int i = 0; i < 3; ++i)
      CHECK(same_bits(eager(x.to(dtype), y.to(dtype)), compiled(x.to(dtype), y.to(dtype))));
    check_equal(model, twin);
  }
}

TEST_CASE("losses check their targets in replays too") {
  const Tensor x = ag::rand({2, 3});
  auto nll = ag::compile([](const Tensor& z, const Tensor& t) {
    return nn::nll_loss(ag::log_softmax(z, 1), t, {.weight = ag::ones({3})});
  });
  auto ce = ag::compile([](const Tensor& z, const Tensor& t) { return nn::cross_entropy(z, t); });
  for (const auto& good : {ag::tensor({0, 2}), ag::tensor({1, -100})}) {
    CHECK(nll(x, good).item() == nn::nll_loss(ag::log_softmax(x, 1), good).item());
    CHECK(ce(x, good).item() == nn::cross_entropy(x, good).item());
  }
  CHECK_THROWS_WITH(nll(x, ag::tensor({0, 3})),
                    ContainsSubstring("nll_loss: targets must be in [0, 2]"));
  CHECK_THROWS_WITH(ce(x, ag::tensor({3, 0})),
                    ContainsSubstring("cross_entropy: targets must be in [0, 2]"));
  auto bce =
      ag::compile([](const Tensor& p, const Tensor& t) { return nn::binary_cross_entropy(p, t); });
  CHECK(bce(x, x).item() == nn::binary_cross_entropy(x, x).item());
  CHECK(bce(0.5 * x, x).item() == nn::binary_cross_entropy(0.5 * x, x).item());
  CHECK_THROWS_WITH(bce(x + 2, x), ContainsSubstring("the input must be in [0, 1]"));
  CHECK(bce.recordings() == 1);
}

TEST_CASE("schedules and clipping by value go on in replays") {
  nn::Linear layer(3, 1), twin = layer;
  nn::optim::SGD a(layer.parameters(), {.lr = 1}), b(twin.parameters(), {.lr = 1});
  nn::optim::StepLR schedule(a, {2, 0.5}), twin_schedule(b, {2, 0.5});
  auto step_of = [](auto& m, auto& o, auto& s) {
    return [&](const Tensor& x) {
      o.zero_grad();
      ag::sum(ag::square(m(x))).backward();
      nn::clip_grad_value_(m.parameters(), 0.1);
      o.step();
      s.step();
    };
  };
  auto eager = step_of(layer, a, schedule);
  auto compiled = ag::compile(step_of(twin, b, twin_schedule));
  for (int i = 0; i < 7; ++i) {
    const Tensor x = ag::rand({4, 3});
    eager(x), compiled(x);
    CHECK(a.lr() == b.lr());
    check_equal(layer, twin);
  }
  CHECK(a.lr() == 0.125);
  CHECK(compiled.recordings() == 1);
}

TEST_CASE("a compiled training step follows parameters that join the optimizer") {
  nn::Linear first(3, 3), second(3, 1);
  nn::optim::SGD optimizer(first.parameters(), {.lr = 0.1});
  auto step = ag::compile([&](const Tensor& x) {
    optimizer.zero_grad();
    ag::sum(ag::square(second(first(x)))).backward();
    optimizer.step();
  });
  const Tensor x = ag::rand({4, 3}), before = second.weight.clone();
  step(x), step(x);
  CHECK(same_bits(second.weight, before));
  optimizer.add_param_group({second.parameters(), {.lr = 0.1}});
  step(x);
  CHECK_FALSE(same_bits(second.weight, before));
}

TEST_CASE("plateau schedules are refused in a recording") {
  nn::Linear layer(3, 1);
  nn::optim::SGD optimizer(layer.parameters(), {.lr = 1});
  nn::optim::ReduceLROnPlateau schedule(optimizer);
  auto f = ag::compile([&](const Tensor& x) {
    schedule.step(1);
    return x;
  });
  CHECK_THROWS_WITH(f(ag::ones({1})),
                    ContainsSubstring("got ReduceLROnPlateau; call step() outside"));
}

TEST_CASE("a compiled function follows layers that are assigned, replaced and added") {
  struct Net : nn::Module {
    nn::Linear first{2, 2};
    nn::Dropout drop{0.0};
    nn::AnyModule activation = nn::Tanh();
    std::vector<nn::Linear> more;
    std::optional<nn::Linear> last;
    std::optional<nn::Dropout> maybe;
    std::vector<nn::AnyModule> any;
    std::vector<nn::Parameter> taken;
    Tensor run(const Tensor& x) const {
      Tensor y = activation(drop.forward(first.forward(x)));
      for (const auto& layer : more) y = layer(y);
      for (const auto& layer : any) y = layer(y);
      if (maybe) y = maybe->forward(y);
      return last ? (*last)(y) : y;
    }
  };
  std::vector<std::function<void(Net&)>> changes{
      [](Net& n) { n.first = nn::Linear(2, 2); },
      [](Net& n) { n.drop = nn::Dropout(0.5); },
      [](Net& n) { n.activation = nn::ReLU(); },
      [](Net& n) {
        n.more.reserve(4);
        n.more.push_back(nn::Linear(2, 2));
      },
      [](Net& n) { n.more.emplace_back(2, 2); },
      [](Net& n) { n.more.pop_back(); },
      [](Net& n) { n.maybe.emplace(0.5); },
      [](Net& n) { n.maybe.reset(); },
      [](Net& n) { n.any.push_back(nn::Tanh()); },
      [](Net& n) { n.any.pop_back(); },
      [](Net& n) { n.last = nn::Linear(2, 2); },
      [](Net& n) { n.taken.emplace_back(std::move(n.last->bias)); },
      [](Net& n) { n.last.reset(); }};
  Net net;
  auto compiled = ag::compile([&](const Tensor& x) { return net.run(x).detach(); });
  const Tensor x = ag::ones({2, 2});
  compiled(x);
  for (std::size_t i = 0; i + 1 < changes.size(); ++i) {
    INFO("change " << i);
    changes[i](net);
    ag::manual_seed(3);
    const Tensor eager = net.run(x).detach();
    for (int k = 0; k < 2; ++k) {
      ag::manual_seed(3);
      CHECK(same_bits(eager, compiled(x)));
    }
  }
}
