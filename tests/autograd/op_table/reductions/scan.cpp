#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

const std::vector<std::pair<Shape, std::int64_t>>& along() {
  static const std::vector<std::pair<Shape, std::int64_t>> cases{
      {{}, 0},     {{}, -1},        {{1}, 0},    {{5}, -1},   {{3, 4}, 0},
      {{3, 4}, 1}, {{2, 3, 4}, -2}, {{0, 3}, 0}, {{0, 3}, 1}, {{3, 17}, 1}};
  return cases;
}

// One value per element of a line, by f(line, position).
std::vector<double> each(const Tensor& x, std::int64_t axis,
                         const std::function<double(const std::vector<double>&)>& prefix) {
  const auto a = ag::shapes::axis("each", axis, x.shape());
  std::int64_t inner = 1;
  for (std::int64_t i = a + 1; i < x.ndim(); ++i) inner *= x.size(i);
  const std::int64_t n = x.ndim() ? x.size(a) : 1;
  const auto v = x.to_vector<double>();
  std::vector<double> y;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    std::vector<double> line;
    for (std::int64_t k = i / inner % n; k >= 0; --k)
      line.insert(line.begin(), v[static_cast<std::size_t>(i - (i / inner % n - k) * inner)]);
    y.push_back(prefix(line));
  }
  return y;
}

template <class F>
Row scan(std::string name, F f, const std::function<double(const std::vector<double>&)>& prefix) {
  Row row{std::move(name), {}};
  for (const auto& [shape, axis] : along())
    row.samples.push_back(
        {fmt::format("{}, axis {}", shape, axis),
         {draw_distinct(shape)},
         [f, a = axis](const TensorList& x) { return f(x[0], a); },
         [prefix, a = axis](const TensorList& x) { return each(x[0], a, prefix); }});
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), 2);
                          },
                          "axis must be in [-2, 1] for shape (2, 3), got 2"});
  return row;
}

void add_differences(std::vector<Row>& rows) {
  Row diff{"diff", {}};
  for (const Shape& s : awkward())
    for (const std::int64_t n : {0, 1, 2})
      if (s.ndim() > 0)
        diff.samples.push_back(one(fmt::format("{}, n {}", s, n), draw(s, -2, 2),
                                   [n](const Tensor& x) { return ag::diff(x, n); }));
  diff.samples.push_back(
      {"(3, 2), axis 0",
       {draw({3, 2}, -2, 2)},
       [](const TensorList& x) { return ag::diff(x[0], 2, 0); },
       [](const TensorList& x) {
         const auto v = x[0].to_vector<double>();
         return std::vector<double>{v[4] - 2 * v[2] + v[0], v[5] - 2 * v[3] + v[1]};
       }});
  diff.mistakes.push_back({[] { return ag::diff(ag::tensor(1.0)); }, "diff: the tensor must have"});
  diff.mistakes.push_back({[] { return ag::diff(ag::ones({3}), -1); }, "n must be at least 0"});
  rows.push_back(diff);

  Row trapezoid{"trapezoid", {}};
  for (const Shape& s : awkward())
    if (s.ndim() > 0)
      trapezoid.samples.push_back(one(fmt::format("{}", s), draw(s, -2, 2),
                                      [](const Tensor& y) { return ag::trapezoid(y, 0.5); }));
  for (const auto& s : {Shape(3), Shape(3, 2)})
    trapezoid.samples.push_back(
        {fmt::format("(3, 2), x {}", s),
         {draw({3, 2}, -2, 2), draw(s, -2, 2)},
         [](const TensorList& t) { return ag::trapezoid(t[0], t[1], 0); },
         [](const TensorList& t) {
           const auto y = t[0].to_vector<double>(),
                      x = ag::expand(t[1].ndim() == 1 ? ag::unsqueeze(t[1], 1) : t[1], {3, 2})
                              .to_vector<double>();
           std::vector<double> area(2, 0);
           for (std::size_t i = 0; i < 4; ++i)
             area[i % 2] += (x[i + 2] - x[i]) * (y[i + 2] + y[i]) / 2;
           return area;
         }});
  trapezoid.mistakes.push_back({[] {
                                  return ag::trapezoid(ag::ones({3, 2}), ag::ones({2}), 0);
                                },
                                "x must have the shape of y or one entry for each along axis 0"});
  rows.push_back(trapezoid);
}

// The covariance of two rows of a matrix.
double covariance(const std::vector<double>& v, std::size_t n, std::size_t i, std::size_t j) {
  double mi = 0, mj = 0, s = 0;
  for (std::size_t k = 0; k < n; ++k) mi += v[i * n + k], mj += v[j * n + k];
  for (std::size_t k = 0; k < n; ++k)
    s +=
        (v[i * n + k] - mi / static_cast<double>(n)) * (v[j * n + k] - mj / static_cast<double>(n));
  return s / static_cast<double>(n - 1);
}

void add_covariances(std::vector<Row>& rows) {
  for (const bool scaled : {false, true}) {
    const auto f = [scaled](const Tensor& x) { return scaled ? ag::corrcoef(x) : ag::cov(x); };
    Row row{scaled ? "corrcoef" : "cov", {}};
    row.samples.push_back(
        {"(3, 5)",
         {draw({3, 5}, -2, 2)},
         [f](const TensorList& x) { return f(x[0]); },
         [scaled](const TensorList& x) {
           const auto v = x[0].to_vector<double>();
           std::vector<double> y;
           for (std::size_t i = 0; i < 3; ++i)
             for (std::size_t j = 0; j < 3; ++j)
               y.push_back(
                   covariance(v, 5, i, j) /
                   (scaled ? std::sqrt(covariance(v, 5, i, i) * covariance(v, 5, j, j)) : 1));
           return y;
         }});
    row.samples.push_back(one("(0, 5)", draw({0, 5}, -2, 2), f));
    row.samples.push_back(one("(4,)", draw({4}, -2, 2), f));
    row.mistakes.push_back({[f] { return f(ag::ones({2, 3, 4})); }, "needs at most two axes"});
    row.mistakes.push_back({[f] { return f(ag::arange(3)); }, "needs float32 or float64"});
    rows.push_back(row);
  }
}

}  // namespace

void add_scans(std::vector<Row>& rows) {
  rows.push_back(scan("cumsum", ag::cumsum, [](const auto& v) {
    double s = 0;
    for (const double x : v) s += x;
    return s;
  }));
  rows.push_back(scan("cumprod", ag::cumprod, [](const auto& v) {
    double s = 1;
    for (const double x : v) s *= x;
    return s;
  }));
  rows.back().samples.push_back(one("zeros",
                                    ag::tensor({{2.0, 0.0, 3.0, 4.0}, {0.0, 0.0, 5.0, 2.0}}),
                                    [](const Tensor& x) { return ag::cumprod(x, 1); }));
  rows.push_back(scan("logcumsumexp", ag::logcumsumexp, [](const auto& v) {
    double s = 0;
    for (const double x : v) s += std::exp(x);
    return std::log(s);
  }));
  for (const bool largest : {true, false}) {
    const auto f = largest ? ag::cummax : ag::cummin;
    Row row = scan(
        largest ? "cummax" : "cummin",
        [f](const Tensor& x, std::int64_t axis) {
          const auto [values, indices] = f(x, axis);
          return (values + ag::gather(x, axis, indices)) / 2;
        },
        [largest](const auto& v) {
          return largest ? *std::max_element(v.begin(), v.end())
                         : *std::min_element(v.begin(), v.end());
        });
    rows.push_back(row);
  }
  add_differences(rows);
  add_covariances(rows);
}

const Family scans_rows(add_scans);

}  // namespace table
