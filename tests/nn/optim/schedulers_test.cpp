#include "nn/optim/schedulers.hpp"

#include <cmath>
#include <vector>

#include "nn/optim/reduce_on_plateau.hpp"
#include "nn/optim/sgd.hpp"
#include "tests/catch.hpp"
#include "tests/nn/optim/two_groups.hpp"

namespace ag = autograd;
namespace optim = nn::optim;
using Catch::Matchers::ContainsSubstring;

namespace {

// The rates of the first group at steps 0, 1, …; the second group must be at half of them.
std::vector<double> rates(optim::Optimizer& optimizer, optim::Scheduler& scheduler, int steps) {
  std::vector<double> all{optimizer.lr(0)};
  for (int i = 1; i <= steps; ++i) {
    scheduler.step();
    all.push_back(optimizer.lr(0));
    CHECK(optimizer.lr(1) == Catch::Approx(all.back() / 2));
  }
  CHECK(scheduler.last_epoch() == steps);
  return all;
}

void check_rates(const std::vector<double>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) CHECK(actual[i] == Catch::Approx(expected[i]));
}

}  // namespace

TEST_CASE_METHOD(Fixture, "StepLR decays every step_size steps") {
  optim::StepLR scheduler(optimizer, {.step_size = 2, .gamma = 0.5});
  check_rates(rates(optimizer, scheduler, 5), {0.8, 0.8, 0.4, 0.4, 0.2, 0.2});
}

TEST_CASE_METHOD(Fixture, "MultiStepLR decays at each milestone, twice at one given twice") {
  optim::MultiStepLR scheduler(optimizer, {.milestones = {4, 1, 4}, .gamma = 0.5});
  check_rates(rates(optimizer, scheduler, 5), {0.8, 0.4, 0.4, 0.4, 0.1, 0.1});
}

TEST_CASE_METHOD(Fixture, "ExponentialLR decays at each step") {
  optim::ExponentialLR scheduler(optimizer, {.gamma = 0.5});
  check_rates(rates(optimizer, scheduler, 3), {0.8, 0.4, 0.2, 0.1});
}

TEST_CASE_METHOD(Fixture, "CosineAnnealingLR follows half a cosine and then climbs again") {
  optim::CosineAnnealingLR scheduler(optimizer, {.T_max = 4});
  const double s = std::sqrt(0.5);
  check_rates(rates(optimizer, scheduler, 6),
              {0.8, 0.4 * (1 + s), 0.4, 0.4 * (1 - s), 0, 0.4 * (1 - s), 0.4});
}

TEST_CASE("CosineAnnealingLR ends at eta_min") {
  optim::SGD optimizer({leaf()}, {.lr = 1});
  optim::CosineAnnealingLR scheduler(optimizer, {.T_max = 2, .eta_min = 0.2});
  scheduler.step();
  CHECK(optimizer.lr() == Catch::Approx(0.6));
  scheduler.step();
  CHECK(optimizer.lr() == 0.2);
}

TEST_CASE_METHOD(Fixture, "LinearLR goes from one factor to another and stays") {
  optim::LinearLR scheduler(optimizer,
                            {.start_factor = 0.25, .end_factor = 0.75, .total_iters = 2});
  check_rates(rates(optimizer, scheduler, 4), {0.2, 0.4, 0.6, 0.6, 0.6});
}

TEST_CASE_METHOD(Fixture, "LambdaLR scales by a function of the step") {
  optim::LambdaLR scheduler(optimizer, [](std::int64_t t) { return 1.0 / (1 + double(t)); });
  check_rates(rates(optimizer, scheduler, 3), {0.8, 0.4, 0.8 / 3, 0.2});
}

TEST_CASE_METHOD(Fixture, "LambdaLR takes one function for each group") {
  optim::LambdaLR scheduler(
      optimizer, {[](std::int64_t) { return 1.0; }, [](std::int64_t t) { return std::pow(2, t); }});
  scheduler.step();
  CHECK(optimizer.lr(0) == 0.8);
  CHECK(optimizer.lr(1) == 0.8);
}

TEST_CASE_METHOD(Fixture, "SequentialLR runs each schedule from its own beginning") {
  const optim::LinearLR warmup(optimizer, {.start_factor = 0.5, .total_iters = 2});
  const optim::ExponentialLR decay(optimizer, {.gamma = 0.5});
  const optim::LambdaLR last(optimizer, [](std::int64_t t) { return double(10 + t); });
  optim::SequentialLR scheduler(optimizer, {&warmup, &decay, &last}, {2, 4});
  check_rates(rates(optimizer, scheduler, 5), {0.4, 0.6, 0.8, 0.4, 8, 8.8});
}

TEST_CASE_METHOD(Fixture, "LinearWarmup climbs to the base rate and hands over") {
  const optim::CosineAnnealingLR cosine(optimizer, {.T_max = 2});
  optim::LinearWarmup scheduler(optimizer, {.steps = 4, .start_factor = 0.5}, cosine);
  check_rates(rates(optimizer, scheduler, 6), {0.4, 0.5, 0.6, 0.7, 0.8, 0.4, 0});
}

TEST_CASE_METHOD(Fixture, "LinearWarmup alone stays at the base rate") {
  optim::LinearWarmup scheduler(optimizer, {.steps = 2});
  check_rates(rates(optimizer, scheduler, 4), {0.8 / 3, 1.6 / 3, 0.8, 0.8, 0.8});
  optim::LinearWarmup none(optimizer, {.steps = 0});
  CHECK(optimizer.lr() == 0.8);
}

TEST_CASE_METHOD(Fixture, "a scheduler continues from its state") {
  optim::StepLR scheduler(optimizer, {.step_size = 2, .gamma = 0.5});
  for (int i = 0; i < 3; ++i) scheduler.step();
  Fixture later;
  later.optimizer.set_lr(77);
  optim::StepLR resumed(later.optimizer, {.step_size = 2, .gamma = 0.5});
  resumed.load_state_dict(scheduler.state_dict());
  CHECK(resumed.last_epoch() == 3);
  resumed.step();
  CHECK(later.optimizer.lr(0) == 0.2);
  CHECK(later.optimizer.lr(1) == 0.1);
}

TEST_CASE_METHOD(Fixture, "schedulers refuse options out of range") {
  const optim::SGD other({leaf()});
  optim::SGD unlike({leaf()});
  const optim::ExponentialLR foreign(unlike, {.gamma = 0.5}), own(optimizer, {.gamma = 0.5});
  CHECK_THROWS_WITH(optim::StepLR(optimizer, {.step_size = 0}),
                    "StepLR: step_size must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::CosineAnnealingLR(optimizer, {.T_max = 0}),
                    "CosineAnnealingLR: T_max must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::LinearLR(optimizer, {.start_factor = 0}),
                    "LinearLR: start_factor must be above 0 and at most 1, got 0");
  CHECK_THROWS_WITH(optim::LinearLR(optimizer, {.end_factor = 2}),
                    "LinearLR: end_factor must be at least 0 and at most 1, got 2");
  CHECK_THROWS_WITH(optim::LinearLR(optimizer, {.total_iters = 0}),
                    "LinearLR: total_iters must be at least 1, got 0");
  CHECK_THROWS_WITH(optim::LinearWarmup(optimizer, {.steps = -1}),
                    "LinearWarmup: steps must be at least 0, got -1");
  CHECK_THROWS_WITH(
      optim::LinearWarmup(optimizer, {.steps = 1}, foreign),
      "LinearWarmup: all schedulers must have the same optimizer, got one of another");
  CHECK_THROWS_WITH(optim::LambdaLR(optimizer, std::vector<optim::LambdaLR::Factor>{}),
                    "LambdaLR: needs one function for each of the 2 groups, got 0");
  CHECK_THROWS_WITH(optim::LambdaLR(optimizer, optim::LambdaLR::Factor()),
                    "LambdaLR: needs functions to call, got an empty one");
  CHECK_THROWS_WITH(optim::SequentialLR(optimizer, {&own, &own}, {}),
                    "SequentialLR: needs one scheduler more than milestones, got 2 and 0");
  CHECK_THROWS_WITH(optim::SequentialLR(optimizer, {&own, &own, &own}, {3, 2}),
                    "SequentialLR: milestones must not decrease, got 3, 2");
  CHECK_THROWS_WITH(optim::SequentialLR(optimizer, {&own, &foreign}, {3}),
                    ContainsSubstring("must have the same optimizer"));
  optim::StepLR scheduler(optimizer, {.step_size = 2});
  nn::StateDict state = scheduler.state_dict();
  state[0].tensor = ag::tensor(-2);
  CHECK_THROWS_WITH(scheduler.load_state_dict(state),
                    "StepLR: 'last_epoch' must be at least 0, got -2");
}

namespace {

std::vector<double> plateau(const optim::ReduceLROnPlateauOptions& options,
                            const std::vector<double>& metrics) {
  optim::SGD optimizer({leaf()}, {.lr = 1});
  optim::ReduceLROnPlateau scheduler(optimizer, options);
  std::vector<double> all;
  for (const double m : metrics) {
    scheduler.step(m);
    all.push_back(optimizer.lr());
  }
  return all;
}

}  // namespace

TEST_CASE("ReduceLROnPlateau waits for more than patience bad steps") {
  check_rates(plateau({.factor = 0.5, .patience = 2}, {5, 5, 5, 5, 5, 5, 5}),
              {1, 1, 1, 0.5, 0.5, 0.5, 0.25});
  check_rates(plateau({.factor = 0.5, .patience = 0}, {5, 4, 4, 3, NAN}), {1, 1, 0.5, 0.5, 0.25});
}

TEST_CASE("ReduceLROnPlateau measures improvement by its threshold") {
  using enum optim::ThresholdMode;
  using enum optim::PlateauMode;
  const std::vector<double> down{10, 9.5, 9, 8};
  check_rates(plateau({.factor = 0.5, .patience = 0, .threshold = 0.1}, down),
              {1, 0.5, 0.25, 0.25});
  check_rates(
      plateau({.factor = 0.5, .patience = 0, .threshold = 0.9, .threshold_mode = abs}, down),
      {1, 0.5, 0.5, 0.5});
  const std::vector<double> up{10, 10.5, 11.5, 12};
  check_rates(plateau({.mode = max, .factor = 0.5, .patience = 0, .threshold = 0.1}, up),
              {1, 0.5, 0.5, 0.25});
  check_rates(
      plateau({.mode = max, .factor = 0.5, .patience = 0, .threshold = 1, .threshold_mode = abs},
              up),
      {1, 0.5, 0.5, 0.25});
}

TEST_CASE("ReduceLROnPlateau measures improvement of a negative metric by its size") {
  using enum optim::PlateauMode;
  const optim::ReduceLROnPlateauOptions options{.factor = 0.5, .patience = 0, .threshold = 0.1};
  check_rates(plateau(options, {-10, -10, -10.5, -11.5, -11.4}), {1, 0.5, 0.25, 0.25, 0.125});
  optim::ReduceLROnPlateauOptions up = options;
  up.mode = max;
  check_rates(plateau(up, {-10, -10, -9.5, -8.5, -8.6}), {1, 0.5, 0.25, 0.25, 0.125});
  check_rates(plateau(options, {0, 0, -1}), {1, 0.5, 0.5});
  check_rates(plateau({.factor = 0.5, .patience = 0, .threshold = 1}, {3, 1}), {1, 0.5});
  check_rates(plateau({.factor = 0.5, .patience = 0}, {-INFINITY, -INFINITY}), {1, 0.5});
}

TEST_CASE_METHOD(Fixture, "schedules with a value for each group refuse a group added later") {
  optim::LambdaLR lambda(optimizer, [](std::int64_t) { return 1.0; });
  optim::ReduceLROnPlateau plateau(optimizer, {.patience = 0, .min_lr = {0.1, 0.2}});
  optimizer.add_param_group({{leaf()}, {.lr = 1}});
  CHECK_THROWS_WITH(lambda.step(),
                    "LambdaLR: needs one function for each group, got 2 for group 2");
  plateau.step(1);
  CHECK_THROWS_WITH(plateau.step(1), ContainsSubstring("min_lr needs one value or one for each of "
                                                       "the 3 groups, got 2"));
  CHECK_THROWS_WITH(optim::SequentialLR(optimizer, {nullptr}, {}),
                    "SequentialLR: needs schedulers to run, got a null pointer");
}

TEST_CASE("ReduceLROnPlateau refuses options out of range") {
  optim::SGD optimizer({leaf()}, {.lr = 1});
  const auto refuses = [&](const optim::ReduceLROnPlateauOptions& options,
                           const std::string& what) {
    CHECK_THROWS_WITH(optim::ReduceLROnPlateau(optimizer, options), "ReduceLROnPlateau: " + what);
  };
  refuses({.factor = -0.5}, "factor must be at least 0, got -0.5");
  refuses({.factor = NAN}, "factor must be below 1, got nan");
  refuses({.patience = -1}, "patience must be at least 0, got -1");
  refuses({.threshold = NAN}, "threshold must be at least 0, got nan");
  refuses({.cooldown = -1}, "cooldown must be at least 0, got -1");
  refuses({.min_lr = {-1}}, "min_lr must be at least 0, got -1");
  refuses({.eps = -1}, "eps must be at least 0, got -1");
}

TEST_CASE("ReduceLROnPlateau rests in its cooldown, stops at min_lr and skips tiny changes") {
  check_rates(plateau({.factor = 0.5, .patience = 0, .cooldown = 2}, {1, 1, 1, 1, 1, 1, 1, 1}),
              {1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125});
  check_rates(plateau({.factor = 0.5, .patience = 0, .min_lr = {0.3}}, {1, 1, 1, 1}),
              {1, 0.5, 0.3, 0.3});
  check_rates(plateau({.factor = 0.5, .patience = 0, .eps = 0.3}, {1, 1, 1}), {1, 0.5, 0.5});
}

TEST_CASE_METHOD(Fixture, "ReduceLROnPlateau has a least rate for each group") {
  optim::ReduceLROnPlateau scheduler(optimizer,
                                     {.factor = 0.1, .patience = 0, .min_lr = {0.5, 0.3}});
  scheduler.step(1);
  scheduler.step(1);
  CHECK(optimizer.lr(0) == 0.5);
  CHECK(optimizer.lr(1) == 0.3);
  CHECK_THROWS_WITH(
      optim::ReduceLROnPlateau(optimizer, {.min_lr = {1, 2, 3}}),
      "ReduceLROnPlateau: min_lr needs one value or one for each of the 2 groups, got 3");
  CHECK_THROWS_WITH(optim::ReduceLROnPlateau(optimizer, {.factor = 1}),
                    "ReduceLROnPlateau: factor must be below 1, got 1");
}

TEST_CASE("ReduceLROnPlateau continues from its state") {
  optim::SGD optimizer({leaf()}, {.lr = 1}), other({leaf()}, {.lr = 1});
  const optim::ReduceLROnPlateauOptions options{.factor = 0.5, .patience = 1, .cooldown = 1};
  optim::ReduceLROnPlateau scheduler(optimizer, options), resumed(other, options);
  for (const double m : {3.0, 3.0, 3.0, 3.0, 3.0}) scheduler.step(m);
  resumed.load_state_dict(scheduler.state_dict());
  CHECK(resumed.best() == 3);
  CHECK(resumed.last_epoch() == 5);
  CHECK(resumed.num_bad_epochs() == 1);
  resumed.step(3);
  CHECK(other.lr() == 0.5);
}
