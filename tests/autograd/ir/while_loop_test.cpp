#include "autograd/autograd.hpp"
#include "autograd/catch2.hpp"
#include "autograd/loops.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

// √a by Newton's method, with the steps that it takes.
std::pair<Tensor, Tensor> root(const Tensor& a, const ag::WhileOptions& options = {}) {
  return ag::while_loop(
      [a](const auto& s) { return ag::abs(s.first * s.first - a) > 1e-13; },
      [a](const auto& s) { return std::pair((s.first + a / s.first) / 2, s.second + 1); },
      std::pair(ag::ones({}, ag::float64), ag::zeros({}, ag::int64)), options);
}

}  // namespace

TEST_CASE("while_loop stops where its condition says, in each replay anew") {
  auto compiled = ag::compile([](const Tensor& a) { return root(a); });
  for (const double a : {2.0, 9.0, 1.0, 1e6}) {
    Tensor x = ag::ones({}, ag::float64);
    std::int64_t steps = 0;
    for (; std::abs(x.item() * x.item() - a) > 1e-13 && steps < 1000; ++steps) x = (x + a / x) / 2;
    if (steps == 1000) continue;  // rounding may keep it from ever being so near
    const auto [eager, count] = root(ag::tensor(a));
    CHECK(same_bits(eager, x));
    CHECK(count.item<std::int64_t>() == steps);
    const auto [replayed, again] = compiled(ag::tensor(a));
    CHECK(same_bits(replayed, x));
    CHECK(same_bits(again, count));
  }
  CHECK(compiled.recordings() == 1);
}

TEST_CASE("a while_loop with max_steps is differentiated, and one without says what it needs") {
  const auto f = [](const Tensor& a) { return root(a, {.max_steps = 20}).first; };
  CHECK_THAT(f, ag::PassesGradGradCheck({ag::tensor(3.0)}));
  const Tensor a = ag::tensor(4.0).requires_grad_();
  auto compiled = ag::compile([&](const Tensor& x) { return ag::grad({f(x)}, {x})[0]; });
  for (const double value : {4.0, 9.0, 2.0})
    CHECK(compiled(ag::tensor(value).requires_grad_()).item() ==
          Catch::Approx(0.5 / std::sqrt(value)));
  CHECK(compiled.recordings() == 1);

  const Tensor y = root(a).first;
  CHECK(y.item() == Catch::Approx(2));
  CHECK_THROWS_WITH(y.backward(),
                    "while_loop: its gradient needs a bound for the number of steps, got none; "
                    "pass {.max_steps = n}");
  CHECK_THROWS_WITH(root(a, {.max_steps = 2}),
                    "while_loop: the condition must become false within max_steps, got 2 steps");
  CHECK_THROWS_WITH(
      ag::while_loop([](const Tensor& c) { return c; }, [](const Tensor& c) { return c; }, a),
      "while_loop: the condition must return one bool, got () float64");
  CHECK_THROWS_WITH(ag::while_loop([](const Tensor& c) { return ag::rand({}) < ag::sum(c); },
                                   [](const Tensor& c) { return c; }, ag::ones({})),
                    ContainsSubstring("while_loop: the condition must draw no random numbers"));
}

TEST_CASE("cond runs the function that its condition chooses, in each replay anew") {
  const Tensor w = ag::tensor({2.0, 3.0}).requires_grad_();
  const auto f = [&](const Tensor& x) {
    const Tensor local = w * 1;  // ends before the backward
    return ag::cond(
        ag::sum(x) > 0, [&](const Tensor& t) { return ag::exp(t) * local; },
        [&](const Tensor& t) { return ag::sin(t * w) + ag::cholesky(ag::eye(2, ag::float64))[0]; },
        x);
  };
  CHECK_THAT(f, ag::PassesGradGradCheck({ag::tensor({0.5, 0.25})}));
  CHECK_THAT(f, ag::PassesGradGradCheck({ag::tensor({-0.5, 0.25})}));
  const auto step = [&](const Tensor& x) {
    const Tensor y = f(x);
    const TensorList g = ag::grad({ag::sum(y * y)}, {x, w});
    return TensorList{y.detach(), g[0], g[1]};
  };
  auto compiled = ag::compile([&](const Tensor& x) { return step(x); });
  for (const double sign : {1.0, -1.0, 1.0}) {
    const Tensor x = (ag::tensor({0.5, 0.25}) * sign).detach().requires_grad_();
    const TensorList eager = step(x), replayed = compiled(x);
    for (std::size_t i = 0; i < 3; ++i) CHECK(same_bits(eager[i], replayed[i]));
  }
  CHECK(compiled.recordings() == 1);
}

TEST_CASE("the choice of a cond in a scan is made in each step, with its random numbers") {
  const Tensor xs = ag::tensor({1.0, -2.0, 3.0, -4.0});
  const auto f = [&](const Tensor& start) {
    ag::manual_seed(2);
    return ag::scan(
        [](const Tensor& c, const Tensor& x) {
          return ag::cond(
              x > 0, [](const Tensor& a, const Tensor& b) { return ag::sin(a) * b; },
              [](const Tensor& a, const Tensor& b) {
                return a * b + a * ag::rand({}, ag::float64);
              },
              c, x);
        },
        start, xs);
  };
  CHECK_THAT(f, ag::PassesGradGradCheck({ag::tensor(0.4)}));
  ag::manual_seed(2);
  Tensor c = ag::tensor(0.4);
  for (const double x : {1.0, -2.0, 3.0, -4.0})
    c = x > 0 ? ag::sin(c) * x : c * x + c * ag::rand({}, ag::float64);
  CHECK(f(ag::tensor(0.4)).item() == Catch::Approx(c.item()));
}

TEST_CASE("cond says what it refuses") {
  const auto one = [](const Tensor& t) { return t; };
  const auto two = [](const Tensor& t) { return ag::stack({t, t}); };
  CHECK_THROWS_WITH(ag::cond(ag::ones({2}) > 0, one, two, ag::ones({2})),
                    "cond: the condition must be one bool, got (2,) bool");
  auto compiled =
      ag::compile([&](const Tensor& x) { return ag::cond(ag::sum(x) > 0, one, two, x); });
  CHECK_THROWS_WITH(compiled(ag::ones({2})),
                    "cond: both functions must return the same shapes and dtypes, got (2,) float32 "
                    "and (2, 2) float32 at 0");
}
