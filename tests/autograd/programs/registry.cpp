#include <algorithm>
#include <cmath>

#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {
namespace {

constexpr double kMargin = 1e-2;

// Ascending or descending, with gaps that leave third derivatives small.
bool apart_in_order(const Tensor& x) {
  const auto v = x.to_vector<double>();
  for (std::size_t i = 1; i < v.size(); ++i)
    if (!(std::abs(v[i] - v[i - 1]) > 0.2)) return false;
  return !v.empty();
}

}  // namespace

bool above(const Tensor& x, double low) {
  const auto v = x.to_vector<double>();
  return std::all_of(v.begin(), v.end(), [=](double e) { return e > low; });
}

bool away(const Tensor& x, double point) {
  const auto v = x.to_vector<double>();
  return std::all_of(v.begin(), v.end(), [=](double e) { return std::abs(e - point) > kMargin; });
}

bool distinct(const Tensor& x) {
  auto v = x.to_vector<double>();
  std::sort(v.begin(), v.end());
  for (std::size_t i = 1; i < v.size(); ++i)
    if (v[i] - v[i - 1] < kMargin) return false;
  return !v.empty();
}

bool broadcast(const Tensor& x, const Tensor& y) {
  const Shape &s = x.shape(), &t = y.shape();
  for (std::size_t i = 1; i <= std::min(s.size(), t.size()); ++i) {
    const auto m = s[s.size() - i], n = t[t.size() - i];
    if (m != n && m != 1 && n != 1) return false;
  }
  return true;
}

bool apart(const Tensor& x, const Tensor& y) {
  const ag::NoGrad off;
  return broadcast(x, y) && away(x - y, 0);
}

bool multiply(const Tensor& x, const Tensor& y) {
  if (x.ndim() == 0 || y.ndim() == 0) return false;
  if (x.size(-1) != y.size(y.ndim() > 1 ? -2 : 0)) return false;
  if (x.ndim() < 3 || y.ndim() < 3) return true;
  Shape s = x.shape(), t = y.shape();
  for (Shape* batch : {&s, &t}) batch->resize(batch->size() - 2);
  return broadcast(ag::zeros(s), ag::zeros(t));
}

bool off_steps(const Tensor& x, double offset) {
  const auto v = x.to_vector<double>();
  return std::all_of(v.begin(), v.end(), [=](double e) {
    return std::abs(e - offset - std::round(e - offset)) > kMargin;
  });
}

bool regular(const Tensor& x) {
  const ag::NoGrad off;
  if (x.ndim() != 2 || x.numel() == 0) return false;
  const Tensor s = ag::svdvals(x);
  return apart_in_order(s) && above(s, 0.3);
}

bool simple(const Tensor& x) {
  const ag::NoGrad off;
  return x.numel() > 0 && apart_in_order(ag::eigvalsh(x + ag::transpose(x)));
}

bool uncorrelated(const Tensor& x, const Tensor& y) {
  const ag::NoGrad off;
  if (!same_shape(x, y) || x.numel() < 3) return false;
  const Tensor both = ag::stack({ag::flatten(x), ag::flatten(y)});
  if (!above(ag::var(both, 1), 0.01)) return false;
  return std::abs(ag::corrcoef(both).data<double>()[1]) < 0.99;
}

const std::vector<Op>& registry() {
  static const std::vector<Op> ops = [] {
    std::vector<Op> all;
    for (const auto& [file, families] : Family::all())
      for (const auto family : families)
        for (Op& op : family()) all.push_back(std::move(op));
    all.push_back(PROGRAM_OP(1, true, a.detach()));
    all.back().constant = true;
    return all;
  }();
  return ops;
}

const std::map<std::string, std::string>& left_out() {
  static const std::map<std::string, std::string> reasons = [] {
    std::map<std::string, std::string> all;
    for (const auto& [file, entries] : LeftOut::all())
      for (const auto& [operation, why] : entries) all[operation] = why;
    return all;
  }();
  return reasons;
}

}  // namespace programs
