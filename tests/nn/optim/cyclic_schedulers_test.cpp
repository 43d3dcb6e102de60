#include "nn/optim/cyclic_schedulers.hpp"

#include <cmath>
#include <vector>

#include "autograd/compile.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/optim/adagrad.hpp"
#include "nn/optim/adam.hpp"
#include "nn/optim/sgd.hpp"
#include "tests/catch.hpp"
#include "tests/nn/optim/two_groups.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using Catch::Matchers::ContainsSubstring;

namespace {

struct At {
  double lr, momentum;
};

void check_steps(optim::Optimizer& optimizer, optim::Scheduler& scheduler,
                 const std::vector<At>& expected) {
  for (const auto& [lr, momentum] : expected) {
    CHECK(optimizer.lr() == Catch::Approx(lr).margin(1e-12));
    CHECK(optimizer.momentum().value() == Catch::Approx(momentum));
    scheduler.step();
  }
}

}  // namespace

TEST_CASE_METHOD(Fixture, "OneCycleLR rises, falls below its start and stays there") {
  optim::OneCycleLR scheduler(optimizer, {.max_lr = {1, 2},
                                          .total_steps = 6,
                                          .pct_start = 0.5,
                                          .anneal_strategy = optim::AnnealStrategy::linear,
                                          .div_factor = 4,
                                          .final_div_factor = 5});
  CHECK(optimizer.lr(1) == 0.5);
  check_steps(optimizer, scheduler,
              {{0.25, 0.95},
               {0.625, 0.9},
               {1, 0.85},
               {2.05 / 3, 2.65 / 3},
               {1.1 / 3, 2.75 / 3},
               {0.05, 0.95},
               {0.05, 0.95},
               {0.05, 0.95}});
}

TEST_CASE("OneCycleLR moves the first beta of Adam, and no momentum if told so") {
  optim::Adam adam({leaf()});
  optim::OneCycleLR scheduler(adam, {.max_lr = 0.1, .epochs = 2, .steps_per_epoch = 5});
  CHECK(adam.lr() == Catch::Approx(0.004));
  CHECK(adam.options().betas.first == 0.95);
  for (int i = 0; i < 2; ++i) scheduler.step();
  CHECK(adam.lr() == Catch::Approx(0.1));
  CHECK(adam.options().betas.first == Catch::Approx(0.85));
  for (int i = 0; i < 7; ++i) scheduler.step();
  const double last = adam.lr();
  CHECK(last == Catch::Approx(4e-7));
  for (int i = 0; i < 20; ++i) scheduler.step();
  CHECK(adam.lr() == last);
  CHECK(adam.options().betas.first == 0.95);
  optim::Adagrad adagrad({leaf()});
  CHECK_THROWS_WITH(optim::OneCycleLR(adagrad, {.max_lr = 0.1, .total_steps = 4}),
                    ContainsSubstring("OneCycleLR: needs an optimizer with momentum or betas, got "
                                      "Adagrad("));
  const optim::OneCycleLR alone(adagrad,
                                {.max_lr = 0.1, .total_steps = 4, .cycle_momentum = false});
  CHECK(adagrad.lr() == Catch::Approx(0.004));
}

TEST_CASE("OneCycleLR takes a single step, and phases without one") {
  optim::SGD sgd({leaf()});
  const auto rate = [&](std::int64_t total, double start, std::int64_t epoch) {
    const optim::OneCycleLR s(sgd, {.max_lr = 1, .total_steps = total, .pct_start = start});
    return s.lr_at(epoch, 0, 0);
  };
  CHECK(rate(1, 0.3, 0) == Catch::Approx(4e-6));
  CHECK(rate(10, 0.1, 0) == Catch::Approx(1));
  CHECK(rate(10, 0, 9) == Catch::Approx(4e-6));
  CHECK(rate(10, 1, 9) == Catch::Approx(1));
}

TEST_CASE_METHOD(Fixture, "CyclicLR goes up and down, lower each time if told so") {
  optim::CyclicLR scheduler(
      optimizer,
      {.base_lr = 0.1, .max_lr = 0.5, .step_size_up = 2, .mode = optim::CyclicMode::triangular2});
  check_steps(
      optimizer, scheduler,
      {{0.1, 0.9}, {0.3, 0.85}, {0.5, 0.8}, {0.3, 0.85}, {0.1, 0.9}, {0.2, 0.875}, {0.3, 0.85}});
  optim::CyclicLR own(optimizer, {.base_lr = 0,
                                  .max_lr = 1,
                                  .step_size_up = 1,
                                  .step_size_down = 3,
                                  .scale_fn = [](double x) { return 1 / x; },
                                  .cycle_momentum = false});
  CHECK(own.lr_at(1, 0, 0) == Catch::Approx(1));
  CHECK(own.lr_at(5, 0, 0) == Catch::Approx(0.5));
  const optim::CyclicLR falling(optimizer, {.base_lr = 0,
                                            .max_lr = 1,
                                            .step_size_up = 2,
                                            .mode = optim::CyclicMode::exp_range,
                                            .gamma = 0.5,
                                            .cycle_momentum = false});
  CHECK(falling.lr_at(1, 0, 0) == Catch::Approx(0.25));
  CHECK(falling.lr_at(2, 0, 0) == Catch::Approx(0.25));
  CHECK(falling.lr_at(6, 0, 0) == Catch::Approx(0.015625));
}

TEST_CASE_METHOD(Fixture,
                 "CosineAnnealingWarmRestarts begins again after longer and longer times") {
  optim::CosineAnnealingWarmRestarts scheduler(optimizer, {.T_0 = 2, .T_mult = 2});
  const auto rate = [&](std::int64_t t) { return scheduler.lr_at(t, 1, 0); };
  CHECK(rate(1) == Catch::Approx(0.5));
  CHECK(rate(2) == 1);
  CHECK(rate(4) == Catch::Approx(0.5));
  CHECK(rate(6) == 1);
  CHECK(rate(INT64_MAX) >= 0);
}

TEST_CASE_METHOD(Fixture, "PolynomialLR falls to 0 and stays there") {
  optim::PolynomialLR scheduler(optimizer, {.total_iters = 4, .power = 2});
  for (const double wanted : {0.8, 0.45, 0.2, 0.05, 0.0, 0.0}) {
    CHECK(optimizer.lr() == Catch::Approx(wanted).margin(1e-12));
    scheduler.step();
  }
}

TEST_CASE_METHOD(Fixture, "ChainedScheduler multiplies what its schedules do") {
  const optim::LinearLR warmup(optimizer, {.start_factor = 0.5, .total_iters = 2});
  const optim::ExponentialLR decay(optimizer, {.gamma = 0.5});
  optim::ChainedScheduler scheduler(optimizer, {&warmup, &decay});
  for (const double wanted : {0.4, 0.3, 0.2, 0.1}) {
    CHECK(optimizer.lr(0) == Catch::Approx(wanted));
    CHECK(optimizer.lr(1) == Catch::Approx(wanted / 2));
    scheduler.step();
  }
}

TEST_CASE_METHOD(Fixture, "schedules within others bring their momentum along") {
  const optim::OneCycleLR cycle(optimizer, {.max_lr = 1, .total_steps = 10});
  const optim::ExponentialLR decay(optimizer, {.gamma = 0.5});
  optim::SequentialLR sequence(optimizer, {&decay, &cycle}, {2});
  CHECK_FALSE(sequence.momentum_at(1, 0));
  CHECK(sequence.momentum_at(4, 0) == cycle.momentum_at(2, 0));
  CHECK(optim::LinearWarmup(optimizer, {.steps = 3}, cycle).momentum_at(3, 0) == 0.95);
  CHECK(optim::ChainedScheduler(optimizer, {&cycle, &decay}).momentum_at(0, 0) == 0.95);
}

TEST_CASE_METHOD(Fixture, "SWALR goes from the rate of now, or of another schedule, to its own") {
  optim::SWALR alone(optimizer, {.swa_lr = {0.2, 0.1}, .anneal_epochs = 4});
  for (const double wanted : {0.8, 0.712132034, 0.5, 0.287867966, 0.2, 0.2}) {
    CHECK(optimizer.lr(0) == Catch::Approx(wanted));
    CHECK(optimizer.lr(1) == Catch::Approx(wanted / 2));
    alone.step();
  }
  const optim::ExponentialLR decay(optimizer, {.gamma = 0.5});
  const optim::SWALROptions linear{
      .swa_lr = 0.3, .anneal_epochs = 2, .anneal_strategy = optim::AnnealStrategy::linear};
  optim::SWALR after(optimizer, linear, decay, 2);
  for (const double wanted : {0.8, 0.4, 0.2, 0.25, 0.3, 0.3}) {
    CHECK(optimizer.lr() == Catch::Approx(wanted));
    after.step();
  }
  const optim::OneCycleLR cycle(optimizer, {.max_lr = 1, .total_steps = 10});
  CHECK(optim::SWALR(optimizer, linear, cycle, 4).momentum_at(7, 0) == cycle.momentum_at(4, 0));
  CHECK(optim::SWALR(optimizer, {.swa_lr = 0.3, .anneal_epochs = 0}).lr_at(0, 1, 0) == 0.3);
  CHECK_THROWS_WITH(optim::SWALR(optimizer, {.swa_lr = 0.3, .anneal_epochs = -1}),
                    "SWALR: anneal_epochs must be at least 0, got -1");
  optim::SGD other({leaf()});
  CHECK_THROWS_WITH(optim::SWALR(other, linear, cycle, 4),
                    "SWALR: all schedulers must have the same optimizer, got one of another");
}

TEST_CASE("a schedule that moves momentum continues from its state") {
  const optim::OneCycleLROptions options{.max_lr = 0.1, .total_steps = 20};
  optim::SGD a({leaf()}), b({leaf()});
  optim::OneCycleLR first(a, options), resumed(b, options);
  for (int i = 0; i < 7; ++i) first.step();
  resumed.load_state_dict(first.state_dict());
  CHECK(b.lr() == a.lr());
  CHECK(b.momentum() == a.momentum());
}

TEST_CASE("a compiled step moves rate and momentum") {
  const auto run = [](bool compiled) {
    const ag::Tensor p = ag::ones({3}).requires_grad_();
    optim::AdamW optimizer({p}, {.lr = 0.1});
    optim::OneCycleLR schedule(optimizer, {.max_lr = 0.1, .total_steps = 6});
    const auto step = [&](const ag::Tensor& x) {
      optimizer.zero_grad();
      const ag::Tensor loss = ag::sum(ag::square(p - x));
      loss.backward();
      optimizer.step();
      schedule.step();
      return loss;
    };
    auto replayed = ag::compile(step);
    const ag::Tensor x = ag::tensor({1.f, 2.f, 3.f});
    for (int i = 0; i < 8; ++i) compiled ? replayed(x) : step(x);
    if (compiled) CHECK(replayed.recordings() == 1);
    return p.to_vector<float>();
  };
  CHECK(run(true) == run(false));
}

TEST_CASE_METHOD(Fixture, "schedules with cycles refuse options out of range") {
  const auto one = [&](const optim::OneCycleLROptions& o, const std::string& what) {
    CHECK_THROWS_WITH(optim::OneCycleLR(optimizer, o), "OneCycleLR: " + what);
  };
  one({.max_lr = 1}, "needs total_steps, or epochs and steps_per_epoch above 0, got 0 and 0");
  one({.max_lr = 1, .total_steps = -1}, "total_steps must be at least 1, got -1");
  one({.max_lr = 1, .total_steps = 5, .pct_start = 2},
      "pct_start must be at least 0 and at most 1, got 2");
  one({.max_lr = -1, .total_steps = 5}, "max_lr must be at least 0, got -1");
  one({.max_lr = 1, .total_steps = 5, .div_factor = 0}, "div_factor must be above 0, got 0");
  one({.max_lr = {1, 2, 3}, .total_steps = 5},
      "max_lr needs one value or one for each of the 2 groups, got 3");
  CHECK_THROWS_WITH(optim::CyclicLR(optimizer, {.base_lr = 0.1, .max_lr = 1, .step_size_up = 0}),
                    "CyclicLR: step_size_up must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::CosineAnnealingWarmRestarts(optimizer, {.T_0 = 0}),
                    "CosineAnnealingWarmRestarts: T_0 must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::CosineAnnealingWarmRestarts(optimizer, {.T_0 = 1, .T_mult = 0}),
                    "CosineAnnealingWarmRestarts: T_mult must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::PolynomialLR(optimizer, {.total_iters = 0}),
                    "PolynomialLR: total_iters must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::ChainedScheduler(optimizer, {}),
                    "ChainedScheduler: needs schedulers to run, got none");
  optim::OneCycleLR cycle(optimizer, {.max_lr = {1, 2}, .total_steps = 5});
  optimizer.add_param_group({{leaf()}, {.lr = 1}});
  CHECK_THROWS_WITH(cycle.step(),
                    "OneCycleLR: max_lr needs one value for each group, got 2 for group 2");
  optim::Adagrad adagrad({leaf()});
  CHECK_THROWS_WITH(adagrad.set_momentum(0.5, 0),
                    "Adagrad: needs an option momentum or betas to set it to 0.5, got neither");
}
