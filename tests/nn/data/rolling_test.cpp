#include "nn/data/rolling.hpp"

#include <cmath>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
using Numbers = std::vector<double>;

const Tensor kSeries = ag::tensor({3.0, 1.0, kNan, 4.0, 1.0, 5.0, 9.0, kNan, kNan, 6.0});

void check(const Tensor& got, const Numbers& wanted) {
  REQUIRE(got.shape() == kSeries.shape());
  CHECK(ag::allclose(got, ag::tensor(wanted), 1e-14, 1e-14, true));
}

}  // namespace

TEST_CASE("moving means leave out what is missing, as pandas does") {
  check(data::rolling_mean(kSeries, {.window = 3}),
        {kNan, kNan, kNan, kNan, kNan, 10.0 / 3, 5, kNan, kNan, kNan});
  check(data::rolling_mean(kSeries, {.window = 3, .min_periods = 1}),
        {3, 2, 2, 2.5, 2.5, 10.0 / 3, 5, 7, 9, 6});
  check(data::rolling_mean(kSeries, {.window = 4, .min_periods = 2, .center = true}),
        {2, 2, 8.0 / 3, 2, 10.0 / 3, 4.75, 5, 7, 7.5, kNan});
  check(data::rolling_mean(kSeries, {.window = 50, .min_periods = 1}),
        {3, 2, 2, 8.0 / 3, 2.25, 2.8, 23.0 / 6, 23.0 / 6, 23.0 / 6, 29.0 / 7});
  check(data::rolling_mean(
            kSeries,
            {.window = std::numeric_limits<std::int64_t>::max(), .min_periods = 1, .center = true}),
        Numbers(10, 29.0 / 7));
}

TEST_CASE("moving sums and deviations are those of pandas") {
  check(data::rolling_sum(kSeries, {.window = 3, .min_periods = 0}),
        {3, 4, 4, 5, 5, 10, 15, 14, 9, 6});
  check(data::rolling_std(kSeries, {.window = 4, .min_periods = 1}),
        {kNan, 1.4142135623730951, 1.4142135623730951, 1.5275252316519468, 1.7320508075688772,
         2.0816659994661326, 3.304037933599835, 4, 2.8284271247461903, 2.1213203435596424});
  check(data::rolling_std(kSeries, {.window = 3, .min_periods = 1}, 0),
        {0, 1, 1, 1.5, 1.5, 1.699673171197595, 3.265986323710904, 2, 0, 0});
}

TEST_CASE("exponential means are those of pandas, whatever is missing") {
  check(data::exponential_mean(kSeries, {.alpha = 0.3}),
        {3, 1.8235294117647056, 1.8235294117647056, 3.010911074740862, 2.1301300862861896,
         3.2347036568045966, 5.28006410003977, 5.28006410003977, 5.28006410003977,
         5.646104548130227});
  check(data::exponential_mean(kSeries, {.span = 4, .adjust = false}),
        {3, 2.2, 2.2, 3.1473684210526316, 2.2884210526315787, 3.373052631578947, 5.623831578947368,
         5.623831578947368, 5.623831578947368, 5.868096787423104});
  check(data::exponential_mean(kSeries, {.halflife = 2, .ignore_nan = true}),
        {3, 1.8284271247461903, 1.8284271247461903, 2.8123273572878915, 2.104569499661587,
         3.134729790617328, 5.098041643002177, 5.098041643002177, 5.098041643002177,
         5.3878333385507});
  check(data::exponential_mean(kSeries, {.alpha = 0.3, .adjust = false, .ignore_nan = true}),
        {3, 2.4, 2.4, 2.88, 2.316, 3.1212, 4.88484, 4.88484, 4.88484, 5.219388});
  const Tensor late = data::exponential_mean(ag::tensor({kNan, 2.0, 3.0}), {.alpha = 0.5});
  CHECK(ag::allclose(late, ag::tensor({kNan, 2.0, 8.0 / 3}), 1e-14, 0, true));
}

TEST_CASE("moving means go column by column, in float32 too, and do not drift") {
  const Tensor both = ag::stack({kSeries, kSeries * 2}, 1).to(ag::float32);
  const Tensor mean = data::rolling_mean(both, {.window = 3, .min_periods = 1});
  CHECK(mean.dtype() == ag::float32);
  CHECK(ag::select(mean, 1, 1).to_vector<float>()[6] == 10);
  CHECK(data::rolling_mean(ag::zeros({0, 2}), {.window = 3}).shape() == ag::Shape(0, 2));
  // A large value that has left the window leaves no trace.
  Tensor x = ag::full({1000}, 0.1, ag::float64);
  x[{5}] = 1e17;
  CHECK(data::rolling_mean(x, {.window = 7}).to_vector<double>().back() ==
        Catch::Approx(0.1).epsilon(1e-15));
  CHECK(data::rolling_std(x, {.window = 7}).to_vector<double>().back() < 1e-15);
}

TEST_CASE("moving means refuse what they cannot be of") {
  CHECK_THROWS_WITH(data::rolling_mean(kSeries, {}),
                    Equals("rolling_mean: the window must be at least 1, got 0"));
  CHECK_THROWS_WITH(data::rolling_sum(kSeries, {.window = 3, .min_periods = 4}),
                    Equals("rolling_sum: min_periods must be in [0, 3], got 4"));
  CHECK_THROWS_WITH(data::rolling_std(kSeries, {.window = 3}, -1),
                    Equals("rolling_std: correction must be at least 0, got -1"));
  CHECK_THROWS_WITH(
      data::rolling_mean(ag::tensor({1.0, -HUGE_VAL}), {.window = 1}),
      Equals("rolling_mean: values must be finite or NaN, got -inf in row 1, column 0"));
  CHECK_THROWS_WITH(data::rolling_mean(ag::arange(3), {.window = 1}),
                    Equals("rolling_mean: a series must be float32 or float64, got int64"));
  CHECK_THROWS_WITH(data::exponential_mean(ag::zeros({1, 1, 1}), {.alpha = 0.5}),
                    Equals("exponential_mean: a series must have shape (n,) or (n, columns), got "
                           "(1, 1, 1)"));
  CHECK_THROWS_WITH(data::exponential_mean(kSeries, {.alpha = 0.5, .span = 3}),
                    Equals("exponential_mean: needs one of alpha, span and halflife, got 2"));
  CHECK_THROWS_WITH(data::exponential_mean(kSeries, {.alpha = 0}),
                    Equals("exponential_mean: alpha must be in (0, 1], got 0"));
  CHECK_THROWS_WITH(data::exponential_mean(kSeries, {.span = 0.5}),
                    Equals("exponential_mean: span must be at least 1, got 0.5"));
  CHECK_THROWS_WITH(data::exponential_mean(kSeries, {.halflife = 0}),
                    Equals("exponential_mean: halflife must be above 0, got 0"));
}
