#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "autograd/ops/neural/fold.hpp"
#include "autograd/ops/neural/interpolate.hpp"
#include "autograd/ops/neural/pooling.hpp"
#include "autograd/ops/reductions/counts.hpp"
#include "autograd/ops/reductions/numeric.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Mode = ag::InterpolateMode;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> numbers(const Tensor& x) { return x.to(ag::float64).to_vector<double>(); }

// Values and gradients with one thread and with four.
void check_threads(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  const int before = ag::num_threads();
  std::vector<Tensor> results;
  for (const int threads : {1, 4}) {
    ag::set_num_threads(threads);
    const Tensor leaf = x.clone().requires_grad_();
    const Tensor y = f(leaf);
    ag::sum(y * y).backward();
    results.push_back(y.detach());
    results.push_back(leaf.grad());
  }
  ag::set_num_threads(before);
  CHECK(same_bits(results[0], results[2]));
  CHECK(same_bits(results[1], results[3]));
}

}  // namespace

TEST_CASE("resampling, folding and unpooling have the same bits for any number of threads") {
  const Tensor x = ag::randn({2, 3, 61, 47});
  for (const Mode mode : {Mode::nearest, Mode::bilinear, Mode::bicubic}) {
    check_threads(x, [=](const Tensor& t) {
      return ag::interpolate(t, {.scale_factor = {2.3, 1.7}, .mode = mode});
    });
    check_threads(x, [=](const Tensor& t) {
      return ag::interpolate(t,
                             {.size = {17, 90}, .mode = mode, .antialias = mode != Mode::nearest});
    });
  }
  check_threads(x, [](const Tensor& t) { return ag::im2col(t, 3, {.padding = 1}); });
  check_threads(ag::randn({2, 27, 2000}), [](const Tensor& t) {
    return ag::fold(t, {40, 50}, 3, {.padding = 1});
  });
  check_threads(ag::abs(x) + 0.1, [](const Tensor& t) { return ag::lp_pool2d(t, 3, 2); });
}

TEST_CASE("compiled resampling has the bits of the eager one") {
  const auto f = [](const Tensor& x) {
    const Tensor y = ag::interpolate(x, {.size = {9, 5}, .mode = Mode::bicubic, .antialias = true});
    return ag::fold(ag::im2col(y, 2), {9, 5}, 2) + ag::lp_pool2d(y, 2, 1);
  };
  auto step = ag::compile(f);
  for (int i = 0; i < 3; ++i) {
    const Tensor x = ag::randn({2, 3, 6, 7});
    CHECK(same_bits(step(x), f(x)));
  }
}

TEST_CASE("places of a compiled max_unpool are looked at in each run") {
  auto step =
      ag::compile([](const Tensor& x, const Tensor& i) { return ag::max_unpool1d(x, i, 2); });
  const Tensor x = ag::ones({1, 1, 2});
  const auto at = [](std::int64_t a, std::int64_t b) {
    return ag::reshape(ag::tensor({a, b}), {1, 1, 2});
  };
  for (int i = 0; i < 3; ++i) CHECK(numbers(step(x, at(0, 3))) == std::vector<double>{1, 0, 0, 1});
  CHECK_THROWS_WITH(step(x, at(0, 4)),
                    Catch::Matchers::ContainsSubstring("indices must be in [0, 4), got 4"));
}

TEST_CASE("an element that is met exactly keeps infinities beside it out") {
  const Tensor x = ag::reshape(ag::tensor({1.0, HUGE_VAL, 3.0}), {1, 1, 3});
  const Tensor y = ag::interpolate(x, {.size = 3, .mode = Mode::linear});
  CHECK(numbers(y) == std::vector<double>{1, HUGE_VAL, 3});
  const Tensor z = ag::interpolate(x, {.size = 5, .mode = Mode::linear, .align_corners = true});
  CHECK(numbers(z) == std::vector<double>{1, HUGE_VAL, HUGE_VAL, HUGE_VAL, 3});
}

TEST_CASE("nearest elements are found in whole numbers") {
  const std::int64_t n = 49;
  const Tensor x = ag::reshape(ag::arange(n).to(ag::float64), {1, 1, n});
  const Tensor y = ag::interpolate(x, {.size = n * n});
  const auto v = numbers(y);
  for (std::size_t i = 0; i < v.size(); ++i)
    if (v[i] != static_cast<double>(i / 49)) FAIL("element " << i << " is " << v[i]);
  const Tensor z = ag::interpolate(x, {.scale_factor = 49});
  CHECK(same_bits(y, z));
}

TEST_CASE("images of one column are resampled like any other, also with antialias") {
  const Tensor x = ag::reshape(ag::arange(7).to(ag::float64), {1, 1, 7, 1});
  const Tensor one =
      ag::interpolate(x, {.size = {3, 1}, .mode = Mode::bilinear, .antialias = true});
  const Tensor two = ag::interpolate(ag::expand(x, {1, 1, 7, 2}),
                                     {.size = {3, 2}, .mode = Mode::bilinear, .antialias = true});
  CHECK(ag::allclose(one, ag::narrow(two, 3, 0, 1), 0, 1e-14));
  CHECK(numbers(one)[1] == Catch::Approx(3.0));
}

TEST_CASE("lp_pool of zeros has the gradient 0") {
  const Tensor x = ag::zeros({1, 1, 4}, ag::float64).requires_grad_();
  const Tensor g = ag::grad({ag::sum(ag::lp_pool1d(x, 2, 2))}, {x}, {.create_graph = true})[0];
  CHECK(numbers(g) == std::vector<double>(4, 0.0));
}

TEST_CASE("close elements: infinities, NaN, integers, bools") {
  const double inf = HUGE_VAL;
  CHECK(ag::allclose(ag::tensor({1.0, inf}), ag::tensor({1.0 + 1e-9, inf})));
  CHECK_FALSE(ag::allclose(ag::tensor({inf}), ag::tensor({-inf})));
  CHECK_FALSE(ag::allclose(ag::tensor({1.0}), ag::tensor({inf})));
  CHECK_FALSE(ag::allclose(ag::tensor({kNan}), ag::tensor({kNan})));
  CHECK(ag::allclose(ag::tensor({kNan}), ag::tensor({kNan}), 1e-5, 1e-8, true));
  CHECK(ag::allclose(ag::tensor({100, 5}), ag::tensor({101, 5}), 0.01));
  CHECK_FALSE(ag::allclose(ag::tensor({100}), ag::tensor({102}), 0.01));
  CHECK(ag::allclose(ag::tensor({true, false}), ag::tensor({true, false})));
  CHECK(ag::allclose(ag::zeros({0}), ag::zeros({0})));
}

TEST_CASE("unique elements: every dtype, NaN, shapes, none") {
  const auto u = ag::unique(ag::reshape(ag::tensor({5, 2, 5, 2, 7, 5}), {2, 3}));
  CHECK(u.values.to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 5, 7});
  CHECK(u.inverse.shape() == ag::Shape(2, 3));
  CHECK(u.inverse.to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 0, 1, 0, 2, 1});
  CHECK(u.counts.to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 3, 1});
  CHECK(ag::unique(ag::tensor({true, false, true})).values.numel() == 2);
  CHECK(ag::unique(ag::tensor({kNan, 1.0, kNan})).counts.numel() == 3);
  const auto none = ag::unique(ag::zeros({0, 2}));
  CHECK((none.values.shape() == ag::Shape{0} && none.inverse.shape() == ag::Shape(0, 2) &&
         none.counts.shape() == ag::Shape{0}));
  CHECK(ag::unique(ag::tensor(3.0)).inverse.shape() == ag::Shape());
}

TEST_CASE("a histogram leaves out NaN and what lies outside of its range") {
  const Tensor x = ag::tensor({kNan, -1.0, 0.0, 1.0, 2.0, HUGE_VAL});
  const auto h = ag::histogram(x, 2, {.range = std::pair(0.0, 2.0)});
  CHECK(numbers(h.counts) == std::vector<double>{1, 2});
  CHECK(numbers(h.edges) == std::vector<double>{0, 1, 2});
  CHECK_THROWS_WITH(ag::histogram(x, 2),
                    Catch::Matchers::StartsWith("histogram: the range must be finite"));
  CHECK(numbers(ag::histogram(ag::zeros({0}), 2).edges) == std::vector<double>{0, 0.5, 1});
  CHECK(numbers(ag::histogram(ag::tensor({3.0, 3.0}), 2).edges) ==
        std::vector<double>{2.5, 3, 3.5});
  CHECK(numbers(ag::histc(ag::tensor({3.0, 3.0}), 2)) == std::vector<double>{0, 2});
}
