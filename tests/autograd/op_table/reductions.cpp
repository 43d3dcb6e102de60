#include "tests/autograd/op_table.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace ag = autograd;

namespace table {
namespace {

// Values of `x` grouped by the element of the reduction they belong to.
std::vector<std::vector<double>> groups(const Tensor& x, const ag::Axes& axes) {
  const auto flags = ag::shapes::axes("groups", axes, x.shape());
  const Shape kept = ag::shapes::reduce(x.shape(), flags, true);
  std::vector<std::vector<double>> g(static_cast<std::size_t>(kept.numel()));
  const auto v = x.to_vector<double>();
  for (std::size_t i = 0; i < v.size(); ++i) {
    std::size_t rest = i, at = 0, stride = 1;
    for (std::size_t d = x.shape().size(); d-- > 0;) {
      const auto n = static_cast<std::size_t>(x.shape()[d]);
      if (!flags[d]) {
        at += rest % n * stride;
        stride *= n;
      }
      rest /= n;
    }
    g[at].push_back(v[i]);
  }
  return g;
}

using Fold = std::function<double(const std::vector<double>&)>;

template <class F>
Row reduction(std::string name, F f, const Fold& fold, bool empty_ok) {
  Row row{std::move(name), {}};
  const std::vector<std::pair<Shape, ag::Axes>> cases{
      {{}, {}},         {{4}, {}},           {{3, 4}, {0}},   {{3, 4}, {-1}},
      {{2, 3, 4}, {1}}, {{2, 3, 4}, {0, 2}}, {{2, 3, 4}, {}}, {{2, 3, 2, 2}, {3, 1}},
      {{1, 1}, {0}},    {{2, 40}, {1}},      {{0, 3}, {1}},   {{3, 0}, {1}}};
  for (const auto& [s, axes] : cases) {
    const bool empty = s.numel() == 0 && s[0] != 0;
    if (empty && !empty_ok) continue;
    for (const bool keepdims : {false, true})
      row.samples.push_back(
          {fmt::format("{}, axes [{}], keepdims {}", s, fmt::join(axes, ", "), keepdims),
           {draw_distinct(s)},
           [f, a = axes, keepdims](const TensorList& x) { return f(x[0], a, keepdims); },
           [fold, a = axes](const TensorList& x) {
             std::vector<double> out;
             for (const auto& g : groups(x[0], a)) out.push_back(fold(g));
             return out;
           }});
  }
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), ag::Axes(2), false);
                          },
                          "axis must be in [-2, 1] for shape (2, 3), got 2"});
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), ag::Axes({0, -2}), false);
                          },
                          "axes must be distinct"});
  return row;
}

double fold_sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double fold_mean(const std::vector<double>& v) {
  return fold_sum(v) / static_cast<double>(v.size());
}
double fold_var(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += (x - fold_mean(v)) * (x - fold_mean(v));
  return s / (static_cast<double>(v.size()) - 1);
}
double fold_logsumexp(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += std::exp(x);
  return std::log(s);
}

}  // namespace

void add_reductions(std::vector<Row>& rows) {
  rows.push_back(reduction("sum", ag::sum, fold_sum, true));
  rows.push_back(reduction("mean", ag::mean, fold_mean, false));
  rows.push_back(reduction(
      "max", ag::max, [](const auto& v) { return *std::max_element(v.begin(), v.end()); }, false));
  rows.push_back(reduction(
      "min", ag::min, [](const auto& v) { return *std::min_element(v.begin(), v.end()); }, false));
  rows.push_back(reduction("logsumexp", ag::logsumexp, fold_logsumexp, false));
  Row var = reduction(
      "var", [](const Tensor& x, const ag::Axes& a, bool k) { return ag::var(x, a, k); }, fold_var,
      false);
  // One sample has no unbiased variance.
  std::erase_if(var.samples, [](const Sample& s) {
    return s.inputs[0].numel() == 1 || s.inputs[0].numel() == 0;
  });
  rows.push_back(var);
  for (auto& row : rows)
    for (const bool largest : {true, false})
      if (row.name == (largest ? "max" : "min"))
        row.mistakes.push_back({[largest] {
                                  const Tensor none = ag::zeros({2, 0});
                                  return largest ? ag::max(none, 1) : ag::min(none, 1);
                                },
                                "the reduced axes must not be empty, got shape (2, 0)"});
  rows.push_back(
      {"argmax",
       {one("(3, 4)", draw_distinct({3, 4}), [](auto& x) { return ag::argmax(x); }),
        one("(3, 4), 0", draw_distinct({3, 4}), [](auto& x) { return ag::argmax(x, 0, true); })},
       {{[] {
           return ag::argmax(ag::zeros({2, 0}));
         },
         "the axis must not be empty, got shape (2, 0)"}},
       false});
}

}  // namespace table
