#include "autograd/ops/reductions/numeric.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

Tensor close(std::string_view op, const Tensor& a, const Tensor& b, double rtol, double atol,
             bool equal_nan) {
  internal::check_defined(op, a);
  internal::check_defined(op, b, 1);
  internal::check_same_dtype(op, a, b);
  if (!(rtol >= 0 && atol >= 0))
    fail(op, "rtol and atol must be at least 0, got {} and {}", rtol, atol);
  const Tensor x = a.detach(), y = b.detach();
  const DType numbers = is_floating(x.dtype()) ? x.dtype() : float64;
  const Tensor v = x.to(numbers), w = y.to(numbers), distance = abs(v - w);
  Tensor result = (x == y) | (isfinite(distance) & (distance <= atol + rtol * abs(w)));
  if (equal_nan) result = result | (isnan(v) & isnan(w));
  return result;
}

}  // namespace

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  const detail::Named as("isclose");
  return close("isclose", a, b, rtol, atol, equal_nan);
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  const detail::Named as("allclose");
  return all(close("allclose", a, b, rtol, atol, equal_nan)).item() != 0;
}

Tensor nanvar(const Tensor& x, const Axes& axes, bool keepdims, double correction) {
  const detail::Named as("nanvar");
  internal::check_defined("nanvar", x);
  internal::check_floating("nanvar", x);
  const Tensor valid = x == x, count = sum(valid, axes, keepdims).to(x.dtype());
  const Tensor deviation = where(valid, x - nanmean(x, axes, true), 0.0);
  return sum(square(deviation), axes, keepdims) / clamp(count - correction, 0.0);
}

Tensor nanstd(const Tensor& x, const Axes& axes, bool keepdims, double correction) {
  const detail::Named as("nanstd");
  const Tensor v = nanvar(x, axes, keepdims, correction), zero = v == 0.0;
  return where(zero, 0.0, sqrt(where(zero, 1.0, v)));
}

Tensor polyval(const Tensor& coefficients, const Tensor& x) {
  const detail::Named as("polyval");
  internal::check_defined("polyval", coefficients);
  internal::check_defined("polyval", x, 1);
  internal::check_floating("polyval", x);
  internal::check_same_dtype("polyval", coefficients, x);
  if (coefficients.ndim() != 1)
    fail("polyval", "the coefficients must have one axis, got shape {}", coefficients.shape());
  if (coefficients.numel() == 0) return zeros(x.shape(), x.dtype());
  Tensor y = expand(select(coefficients, 0, 0), x.shape());
  for (std::int64_t k = 1; k < coefficients.size(0); ++k) y = y * x + select(coefficients, 0, k);
  return y;
}

}  // namespace autograd
