#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/gradient.hpp"

/// Points at which an operation has a written value, first and second derivative. Checks by
/// differences sample clear of kinks and of branches, where a smooth function written with `abs` or
/// `where` goes wrong without a trace.
namespace table {

struct Point {
  std::string text;
  std::vector<double> at;  // the elements of x
  /// From x (1-d) to one element.
  std::function<autograd::Tensor(const autograd::Tensor& x)> call;
  double value;
  std::vector<double> first;
  std::vector<double> second{};  // the Hessian, row by row; none: not checked
};

/// What differs from the point in this dtype, or nothing.
inline std::string mismatch(const Point& p, autograd::DType dtype) {
  namespace ag = autograd;
  using V = std::vector<double>;
  const double tolerance = dtype == ag::float64 ? 1e-12 : 1e-5;
  const auto same = [&](double a, double b) {
    if (a == b || (std::isnan(a) && std::isnan(b))) return true;
    return std::isfinite(b) && std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
  };
  std::string report;
  const auto compare = [&](const char* what, const V& got, const V& right) {
    bool equal = got.size() == right.size();
    for (std::size_t i = 0; equal && i < got.size(); ++i) equal = same(got[i], right[i]);
    if (!equal)
      report += fmt::format("{} of {} in {}: got [{}], right [{}]\n", what, p.text, ag::name(dtype),
                            fmt::join(got, ", "), fmt::join(right, ", "));
  };
  const auto values = [](const ag::Tensor& t) { return t.to(ag::float64).to_vector<double>(); };

  const ag::Tensor x = ag::tensor(p.at).to(dtype).detach().requires_grad_();
  const auto slope = [&](const ag::Tensor& y, bool create_graph) {
    if (!y.requires_grad()) return ag::zeros_like(x);
    const ag::Tensor g = ag::grad(
        {y}, {x}, {.retain_graph = true, .create_graph = create_graph, .allow_unused = true})[0];
    return g.defined() ? g : ag::zeros_like(x);
  };
  const ag::Tensor y = ag::sum(p.call(x));
  compare("value", values(y), {p.value});
  compare("first derivative", values(slope(y, false)), p.first);
  const ag::Tensor first = slope(y, true);
  compare("recorded first derivative", values(first), p.first);
  if (p.second.empty()) return report;
  V second;
  for (std::int64_t i = 0; i < x.numel(); ++i)
    for (const double d : values(slope(ag::select(first, 0, i), false))) second.push_back(d);
  compare("second derivative", second, p.second);
  return report;
}

inline std::string mismatch(const Point& p) {
  return mismatch(p, autograd::float64) + mismatch(p, autograd::float32);
}

}  // namespace table
