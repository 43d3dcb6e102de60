#include "nn/data/series.hpp"

#include <cmath>
#include <limits>

#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/data/dataloader.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;
using data::Gaps;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
using Numbers = std::vector<double>;

Numbers filled(const Numbers& x, Gaps method = Gaps::linear) {
  return data::interpolate(ag::tensor(x), {.method = method}).to_vector<double>();
}

// Row t is (t, 10 t, 100 t).
Tensor three_columns(std::int64_t n) {
  return ag::unsqueeze(ag::arange(n).to(ag::float64), 1) * ag::tensor({1.0, 10.0, 100.0});
}

}  // namespace

TEST_CASE("windows hold what a model sees, and what comes next") {
  const auto w = data::windows(ag::arange(7).to(ag::float32), {.steps = 3, .horizon = 2});
  CHECK(w.x.shape() == ag::Shape(3, 3, 1));
  CHECK(w.y.shape() == ag::Shape(3, 2, 1));
  CHECK(w.x.to_vector<float>() == std::vector<float>{0, 1, 2, 1, 2, 3, 2, 3, 4});
  CHECK(w.y.to_vector<float>() == std::vector<float>{3, 4, 4, 5, 5, 6});
}

TEST_CASE("windows begin every stride rows; those that are not whole are left out") {
  const auto w = data::windows(ag::arange(8), {.steps = 2, .stride = 3});
  CHECK(w.x.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 3, 4});
  CHECK(w.y.to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 5});
  CHECK(data::windows(ag::arange(9), {.steps = 2, .stride = 3}).size() == 3);
}

TEST_CASE("windows of several columns forecast those that are asked for") {
  const auto w = data::windows(three_columns(5), {.steps = 2, .horizon = 2, .targets = {2, 0}});
  CHECK(w.x.shape() == ag::Shape(2, 2, 3));
  CHECK(w.x[1].to_vector<double>() == Numbers{1, 10, 100, 2, 20, 200});
  CHECK(w.y.shape() == ag::Shape(2, 2, 2));
  CHECK(w.y[1].to_vector<double>() == Numbers{300, 3, 400, 4});
}

TEST_CASE("windows are a data set of a loader") {
  data::DataLoader loader(data::windows(three_columns(10), {.steps = 4}), {.batch_size = 4});
  std::vector<std::int64_t> sizes;
  for (const auto& [x, y] : loader) {
    CHECK(y.shape() == ag::Shape(x.size(0), 1, 3));
    sizes.push_back(x.size(0));
  }
  CHECK(sizes == std::vector<std::int64_t>{4, 2});
}

TEST_CASE("windows that do not fit the series are refused") {
  const Tensor x = three_columns(5);
  CHECK_THROWS_WITH(data::windows(x, {.steps = 5}),
                    Equals("windows: the series must have at least 5 + 1 rows (steps + horizon), "
                           "got 5"));
  CHECK_THROWS_WITH(
      data::windows(x, {.steps = 1, .horizon = std::numeric_limits<std::int64_t>::max()}),
      Equals("windows: the series must have at least 1 + 9223372036854775807 rows (steps + "
             "horizon), got 5"));
  CHECK_THROWS_WITH(data::windows(x, {}), Equals("windows: steps must be at least 1, got 0"));
  CHECK_THROWS_WITH(data::windows(x, {.steps = 1, .stride = 0}),
                    Equals("windows: stride must be at least 1, got 0"));
  CHECK_THROWS_WITH(data::windows(x, {.steps = 1, .targets = {3}}),
                    Equals("windows: targets must be columns in [0, 3), got 3"));
  CHECK_THROWS_WITH(data::windows(ag::ones({2, 3, 4}), {.steps = 1}),
                    Equals("windows: a series must have shape (n,) or (n, columns), got (2, 3, "
                           "4)"));
}

TEST_CASE("gaps are filled along the line between the values around them") {
  CHECK(filled({1, kNan, kNan, 4, kNan, 2}) == Numbers{1, 2, 3, 4, 3, 2});
  CHECK(filled({kNan, kNan, 5, kNan, 7, kNan}) == Numbers{5, 5, 5, 6, 7, 7});
  CHECK(filled({3}) == Numbers{3});
  CHECK(filled({1e308, kNan, -1e308}) == Numbers{1e308, 0, -1e308});
}

TEST_CASE("gaps are filled with the value before, or with the nearest one") {
  const Numbers x{kNan, 1, kNan, kNan, kNan, 9, kNan};
  CHECK(filled(x, Gaps::previous) == Numbers{1, 1, 1, 1, 1, 9, 9});
  CHECK(filled(x, Gaps::nearest) == Numbers{1, 1, 1, 1, 9, 9, 9});
}

TEST_CASE("gaps are filled column by column, in a copy") {
  const Tensor x = ag::tensor({{1.0f, NAN}, {NAN, 5.0f}, {3.0f, 6.0f}});
  const Tensor y = data::interpolate(x);
  CHECK(y.shape() == x.shape());
  CHECK(y.to_vector<float>() == std::vector<float>{1, 5, 2, 5, 3, 6});
  CHECK(std::isnan(x.data<float>()[1]));
  CHECK(data::interpolate(ag::empty({0, 2})).shape() == ag::Shape(0, 2));
}

TEST_CASE("a column without a value, and infinite values, cannot be interpolated") {
  CHECK_THROWS_WITH(filled({kNan, kNan}),
                    Equals("interpolate: a column must hold a value to fill its gaps from, got 2 "
                           "NaN in column 0"));
  CHECK_THROWS_WITH(
      filled({1, kNan, INFINITY}),
      Equals("interpolate: values must be finite or NaN, got inf in row 2, column 0"));
  CHECK_THROWS_WITH(data::interpolate(ag::arange(3)),
                    Equals("interpolate: a series with gaps must be float32 or float64, got "
                           "int64"));
}

TEST_CASE("differences are undone from where the series began") {
  ag::Generator g(3);
  for (const std::int64_t lag : {1, 2, 3, 7}) {
    const Tensor x = ag::randn({10, 2}, ag::float64, g);
    const Tensor changes = data::difference(x, lag);
    CHECK(changes.shape() == ag::Shape(10 - lag, 2));
    CHECK(std::abs((changes[0] - (x[lag] - x[0])).data<double>()[1]) < 1e-15);
    const Tensor back = data::undifference(changes, ag::narrow(x, 0, 0, lag));
    CHECK(back.shape() == x.shape());
    CHECK(ag::max(ag::abs(back - x)).item() < 1e-14);
  }
  const Tensor levels = data::undifference(ag::tensor({1.0, 2.0}), ag::tensor({10.0}));
  CHECK(levels.to_vector<double>() == Numbers{10, 11, 13});
}

TEST_CASE("differences and their inverse have derivatives") {
  ag::Generator g(4);
  const Tensor x = ag::randn({6, 2}, ag::float64, g), start = ag::randn({2, 2}, ag::float64, g);
  CHECK(ag::gradgradcheck([](const Tensor& t) { return ag::pow(data::difference(t, 2), 3); }, {x}));
  CHECK(ag::gradgradcheck(
      [](const Tensor& t, const Tensor& s) { return ag::pow(data::undifference(t, s), 3); },
      {x, start}));
}

TEST_CASE("a lag must leave something of the series") {
  CHECK_THROWS_WITH(data::difference(ag::ones({3}), 3),
                    Equals("difference: the lag must be in [1, 3), got 3"));
  CHECK_THROWS_WITH(data::difference(ag::ones({3}), 0),
                    Equals("difference: the lag must be in [1, 3), got 0"));
  CHECK_THROWS_WITH(data::undifference(ag::ones({3, 2}), ag::ones({2})),
                    Equals("undifference: start must hold the first rows of the series as (lag, "
                           "…), got (2,) for (3, 2)"));
  CHECK_THROWS_WITH(data::lags(ag::ones({3}), {1, 3}),
                    Equals("lags: lags must be in [1, 3), got 3"));
  CHECK_THROWS_WITH(data::lags(ag::ones({3}), {}),
                    Equals("lags: needs at least one lag, got none"));
}

TEST_CASE("lags are the earlier values as features of the present one") {
  const auto one = data::lags(ag::arange(6).to(ag::float64), {1, 3});
  CHECK(one.x.to_vector<double>() == Numbers{2, 0, 3, 1, 4, 2});
  CHECK(one.y.to_vector<double>() == Numbers{3, 4, 5});
  const auto several = data::lags(three_columns(3), {2, 1});
  CHECK(several.x.to_vector<double>() == Numbers{0, 0, 0, 1, 10, 100});
  CHECK(several.y.to_vector<double>() == Numbers{2, 20, 200});
}

TEST_CASE("a series is cut by time, into parts that follow one another") {
  const Tensor x = ag::arange(10);
  const auto [train, test] = data::split_time(x, {0.75, 0.25});
  CHECK(train.size(0) == 8);
  CHECK(test.to_vector<std::int64_t>() == std::vector<std::int64_t>{8, 9});
  CHECK(data::split_time(x, {0.3f, 0.7f})[0].size(0) == 3);
  const auto [a, b, c] = data::split_time(x, {5, 3, 2}, 2);
  CHECK(a.size(0) == 5);
  CHECK(b.to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 4, 5, 6, 7});
  CHECK(c.to_vector<std::int64_t>() == std::vector<std::int64_t>{6, 7, 8, 9});
  const auto [first, rest] = data::split_time(data::TensorDataset(x, 2 * x), {0.5, 0.5});
  CHECK(first.size() == 5);
  CHECK(rest.y.to_vector<std::int64_t>() == std::vector<std::int64_t>{10, 12, 14, 16, 18});
}

TEST_CASE("parts in time that do not fit the series are refused") {
  const Tensor x = ag::arange(10);
  CHECK_THROWS_WITH(data::split_time(x, {5, 4}),
                    Equals("split_time: lengths must add up to the 10 rows, got 9"));
  CHECK_THROWS_WITH(data::split_time(x, {5, 6}),
                    Equals("split_time: lengths must be at least 0 and add up to the 10 rows, got "
                           "(5, 6)"));
  CHECK_THROWS_WITH(data::split_time(x, {0.5, 0.4}),
                    Equals("split_time: fractions must add up to 1, got 0.9; pass whole numbers "
                           "for lengths"));
  CHECK_THROWS_WITH(data::split_time(x, {5, 5}, 6),
                    Equals("split_time: there must be 6 rows of context before row 5, got 5"));
}
