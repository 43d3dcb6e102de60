#include "nn/optim/lbfgs.hpp"

#include "autograd/compile.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/io/checkpoint.hpp"
#include "nn/optim/schedulers.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using Catch::Matchers::ContainsSubstring;
using optim::LineSearch;

namespace {

// Rosenbrock's valley, from where it is usually begun.
struct Valley {
  ag::Tensor p;
  int calls = 0;
  explicit Valley(ag::DType dtype = ag::float64)
      : p(ag::tensor({-1.2, 1.0}).to(dtype).requires_grad_()) {}
  ag::Tensor operator()() {
    ++calls;
    p.zero_grad();
    const ag::Tensor x = p[{0}], y = p[{1}];
    const ag::Tensor loss = ag::square(1 - x) + 100 * ag::square(y - ag::square(x));
    loss.backward();
    return loss;
  }
};

optim::LBFGS::Closure by_reference(Valley& valley) {
  return [&valley] { return valley(); };
}

}  // namespace

TEST_CASE("LBFGS finds the end of Rosenbrock's valley") {
  for (const auto dtype : {ag::float32, ag::float64}) {
    Valley valley(dtype);
    optim::LBFGS optimizer({valley.p}, {.line_search_fn = LineSearch::strong_wolfe});
    for (int i = 0; i < 4; ++i) optimizer.step(by_reference(valley));
    const auto found = valley.p.to(ag::float64).to_vector<double>();
    CHECK(found[0] == Catch::Approx(1).margin(1e-3));
    CHECK(found[1] == Catch::Approx(1).margin(1e-3));
  }
}

TEST_CASE("LBFGS returns the first loss and keeps to its evaluations") {
  Valley valley;
  optim::LBFGS optimizer({valley.p}, {.max_iter = 8, .line_search_fn = LineSearch::strong_wolfe});
  CHECK(optimizer.step(by_reference(valley)).item() == Catch::Approx(24.2));
  CHECK(valley.calls <= 10);
  CHECK(optimizer.state_dict().at("state.0.func_evals").item() == valley.calls);
}

TEST_CASE("LBFGS moves with a single iteration too") {
  Valley valley;
  const double before = valley().item();
  optim::LBFGS optimizer({valley.p}, {.max_iter = 1, .line_search_fn = LineSearch::strong_wolfe});
  for (int i = 0; i < 5; ++i) optimizer.step(by_reference(valley));
  CHECK(valley().item() < before / 2);
}

TEST_CASE("LBFGS stays where the gradient is 0") {
  Valley valley;
  valley.p.copy_(ag::tensor({1., 1.}));
  optim::LBFGS optimizer({valley.p});
  optimizer.step(by_reference(valley));
  CHECK(valley.calls == 1);
  CHECK(valley.p.to_vector<double>() == std::vector<double>{1, 1});
}

TEST_CASE("LBFGS climbs if told so, and takes parameters without a gradient") {
  const ag::Tensor p = ag::tensor({3.0}).requires_grad_(),
                   idle = ag::ones({2}, ag::float64).requires_grad_();
  optim::LBFGS optimizer({p, idle}, {.maximize = true});
  for (int i = 0; i < 2; ++i)
    optimizer.step([&] {
      optimizer.zero_grad();
      const ag::Tensor height = ag::sum(-ag::square(p - 5));
      height.backward();
      return height;
    });
  CHECK(p.item() == Catch::Approx(5));
  CHECK(idle.to_vector<double>() == std::vector<double>{1, 1});
}

TEST_CASE("LBFGS goes on from a checkpoint with the same bits") {
  const Scratch scratch;
  const std::string path = scratch / "lbfgs.safetensors";
  Valley valley, other;
  const optim::LBFGSOptions options{
      .max_iter = 4, .history_size = 3, .line_search_fn = LineSearch::strong_wolfe};
  optim::LBFGS optimizer({valley.p}, options), resumed({other.p});
  for (int i = 0; i < 2; ++i) optimizer.step(by_reference(valley));
  nn::Checkpoint{{"optimizer", optimizer}}.save(path);
  other.p.copy_(valley.p);
  nn::Checkpoint{{"optimizer", resumed}}.load(path);
  CHECK(resumed.options().history_size == 3);
  for (int i = 0; i < 2; ++i) {
    optimizer.step(by_reference(valley));
    resumed.step(by_reference(other));
  }
  CHECK(other.p.to_vector<double>() == valley.p.to_vector<double>());
  CHECK(optimizer.state_dict().find("state.0.old_dirs.2"));
  CHECK_FALSE(optimizer.state_dict().find("state.0.old_dirs.3"));
}

TEST_CASE("LBFGS takes schedules, and compiled functions in its closure") {
  Valley valley;
  optim::LBFGS optimizer({valley.p}, {.lr = 0.5});
  optim::ExponentialLR schedule(optimizer, {.gamma = 0.5});
  schedule.step();
  CHECK(optimizer.lr() == 0.25);
  auto compiled = ag::compile([&](const ag::Tensor&) { return valley(); });
  optimizer.step([&] { return compiled(ag::zeros({1})); });
  auto whole = ag::compile([&](const ag::Tensor&) { return optimizer.step(by_reference(valley)); });
  CHECK_THROWS_WITH(whole(ag::zeros({1})), ContainsSubstring("step() of LBFGS; call it outside"));
}

TEST_CASE("LBFGS refuses what it cannot minimize") {
  Valley valley;
  optim::LBFGS optimizer({valley.p});
  CHECK_THROWS_WITH(optimizer.step([] { return ag::ones({2}); }),
                    "LBFGS: the closure must return a loss of one element, got shape (2,)");
  CHECK_THROWS_WITH(optimizer.step({}), "LBFGS: needs a closure to call, got an empty one");
  valley();
  optim::Optimizer& base = optimizer;
  CHECK_THROWS_WITH(base.step(),
                    "LBFGS: needs a closure to call, got a step without one; use "
                    "step(closure)");
  CHECK_THROWS_WITH(optim::LBFGS({valley.p}, {.max_iter = 0}),
                    "LBFGS: max_iter must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::LBFGS({valley.p}, {.lr = -1}), "LBFGS: lr must be at least 0, got -1");
  CHECK_THROWS_WITH(optim::LBFGS({valley.p, ag::ones({1}).requires_grad_()}),
                    "LBFGS: all parameters must have one dtype, got float64 and float32");
  CHECK(optimizer.str().starts_with("LBFGS(lr=1.0, max_iter=20"));
}
