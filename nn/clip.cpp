#include "nn/clip.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace nn {
namespace {

namespace ag = autograd;

// The sum of f over the elements, in double, in eight lanes so that it vectorises.
template <class T, class F>
double sum_of(const T* p, std::int64_t n, F f) {
  double lanes[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int k = 0; k < 8; ++k) lanes[k] += f(static_cast<double>(p[i + k]));
  for (; i < n; ++i) lanes[0] += f(static_cast<double>(p[i]));
  return std::accumulate(lanes, lanes + 8, 0.0);
}

template <class T>
double largest(const T* p, std::int64_t n) {
  T m = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const T a = std::abs(p[i]);
    m = a > m || a != a ? a : m;
    if (m != m) break;
  }
  return static_cast<double>(m);
}

// Σ |x|^p of one gradient; for p = inf the largest |x|.
template <class T>
double power_sum(const T* p, std::int64_t n, double norm_type) {
  if (std::isinf(norm_type)) return largest(p, n);
  if (norm_type == 2) return sum_of(p, n, [](double x) { return x * x; });
  if (norm_type == 1) return sum_of(p, n, [](double x) { return std::abs(x); });
  return sum_of(p, n, [=](double x) { return std::pow(std::abs(x), norm_type); });
}

// Calls f(pointer, size) for every gradient there is.
template <class F>
void for_each_gradient(const ag::TensorList& parameters, bool writes, F f) {
  for (const ag::Tensor& parameter : parameters) {
    ag::Tensor g = parameter.grad();
    if (!g.defined()) continue;
    ag::dispatch_floating("clip_grad", g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      f(writes ? g.mutable_data<T>() : const_cast<T*>(g.data<T>()), g.numel());
    });
  }
}

}  // namespace

double clip_grad_norm_(const ag::TensorList& parameters, double max_norm, double norm_type,
                       bool error_if_nonfinite) {
  if (!(max_norm >= 0))
    ag::fail("clip_grad_norm_", "max_norm must be at least 0, got {}", max_norm);
  if (!(norm_type > 0)) ag::fail("clip_grad_norm_", "norm_type must be above 0, got {}", norm_type);
  double total = 0;
  for_each_gradient(parameters, false, [&](const auto* p, std::int64_t n) {
    const double sum = power_sum(p, n, norm_type);
    if (!std::isinf(norm_type))
      total += sum;
    else if (!std::isnan(total))
      total = std::isnan(sum) ? sum : std::max(total, sum);
  });
  if (norm_type == 2)
    total = std::sqrt(total);
  else if (!std::isinf(norm_type))
    total = std::pow(total, 1 / norm_type);
  if (error_if_nonfinite && !std::isfinite(total))
    ag::fail("clip_grad_norm_", "the norm of the gradients must be finite, got {}", total);

  // The small term keeps a norm of 0 from dividing, as in PyTorch.
  const double factor = max_norm / (total + 1e-6);
  if (factor >= 1) return total;
  for_each_gradient(parameters, true, [&](auto* p, std::int64_t n) {
    const auto f = static_cast<std::remove_reference_t<decltype(*p)>>(factor);
    for (std::int64_t i = 0; i < n; ++i) p[i] *= f;
  });
  return total;
}

void clip_grad_value_(const ag::TensorList& parameters, double clip_value) {
  if (!(clip_value >= 0))
    ag::fail("clip_grad_value_", "clip_value must be at least 0, got {}", clip_value);
  for_each_gradient(parameters, true, [&](auto* p, std::int64_t n) {
    const auto limit = static_cast<std::remove_reference_t<decltype(*p)>>(clip_value);
    for (std::int64_t i = 0; i < n; ++i)
      p[i] = p[i] > limit ? limit : p[i] < -limit ? -limit : p[i];
  });
}

}  // namespace nn
