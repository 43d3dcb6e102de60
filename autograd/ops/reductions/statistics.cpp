#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/ops/internal/deviations.hpp"
#include "autograd/ops/internal/lines.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

// Reductions that are formulas of others.
namespace autograd {
namespace {

// |x|^p with the gradient 0 at 0, to any order, where the power has a kink or a pole there.
Tensor abs_power(const Tensor& x, double p) {
  if (p > 0 && std::fmod(p, 2) == 0) return pow(x, p);
  if (p > 0 && std::floor(p) == p) return pow(abs(x), p);
  const Tensor zero = x == 0.0;
  return where(zero, p > 0 ? 0.0 : HUGE_VAL, pow(abs(where(zero, 1.0, x)), p));
}

// x^(1/p) of a sum of powers, likewise.
Tensor root(const Tensor& x, double p) {
  const Tensor zero = x == 0.0;
  return where(zero, p > 0 ? 0.0 : HUGE_VAL, pow(where(zero, 1.0, x), 1 / p));
}

// Products of deviations over degrees of freedom; x has variables in rows.
Tensor covariance(std::string_view op, const Tensor& x, double correction) {
  internal::check_floating(op, x);
  if (x.ndim() > 2) fail(op, "needs at most two axes (variables, observations), got {}", x.shape());
  const Tensor rows = x.ndim() == 2 ? x : reshape(x, {1, x.numel()});
  const Tensor d = rows - mean(rows, 1, true);
  const Tensor c =
      matmul(d, transpose(d)) / std::max(static_cast<double>(rows.size(1)) - correction, 0.0);
  return x.ndim() == 2 ? c : reshape(c, {});
}

// Lines of the last axis in units in which squares neither overflow nor vanish.
Tensor in_units(const Tensor& x) {
  if (x.numel() == 0) return x;
  const double far = x.dtype() == float32 ? 1e15 : 1e140;
  const Tensor size = max(abs(x.detach()), x.ndim() ? Axes(-1) : Axes(), true);
  const Tensor outside = ((size > far) | (size < 1 / far)) & isfinite(size) & (size != 0.0);
  return x / where(outside, size, 1.0);
}

void check_has_axis(std::string_view op, const Tensor& x) {
  if (x.ndim() == 0) fail(op, "the tensor must have an axis, got a 0-d tensor");
}

// Sums of neighbours along an axis, for the rule of trapezoids.
Tensor neighbours(const Tensor& y, std::int64_t axis) {
  const std::int64_t n = std::max<std::int64_t>(y.size(axis), 1) - 1;
  return narrow(y, axis, std::min<std::int64_t>(y.size(axis), 1), n) + narrow(y, axis, 0, n);
}

}  // namespace

Tensor amax(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("amax");
  return max(x, axes, keepdims);
}
Tensor amin(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("amin");
  return min(x, axes, keepdims);
}

Tensor norm(const Tensor& x, double p, const Axes& axes, bool keepdims) {
  const detail::Named as("norm");
  internal::check_floating("norm", x);
  if (std::isnan(p)) fail("norm", "p must be a number or ±infinity, got nan");
  if (internal::reduced_count("norm", x, axes) == 0 && (p < 0 || p == HUGE_VAL))
    fail("norm", "the reduced axes must not be empty for p = {}, got shape {}", p, x.shape());
  // sign has the gradient 0; a NaN counts.
  if (p == 0) return sum(where(x != x, 1.0, abs(sign(x))), axes, keepdims);
  if (p == 1) return sum(abs(x), axes, keepdims);
  if (p == HUGE_VAL) return max(abs(x), axes, keepdims);
  if (p == -HUGE_VAL) return min(abs(x), axes, keepdims);
  if (p == 2) return internal::root_of_squares("norm", x, axes, keepdims, 1);
  const internal::Joined lines("norm", x, axes, keepdims);
  if (x.numel() == 0) return sum(square(x), axes, keepdims);
  // Relative to the element that counts most, so that no power overflows. The value does not depend
  // on the unit, so its gradient does not either.
  const Tensor size = abs(lines.x.detach());
  const Tensor most = p > 0 ? max(size, lines.axis, true) : min(size, lines.axis, true);
  const Tensor unit = where(most == 0.0, 1.0, where(most < HUGE_VAL, most, 1.0));
  const Tensor total = sum(abs_power(lines.x / unit, p), lines.axis, true);
  return reshape(root(total, p) * unit, lines.result);
}

Tensor normalize(const Tensor& x, double p, std::int64_t axis, double eps) {
  const detail::Named as("normalize");
  internal::check_floating("normalize", x);
  axis = shapes::axis("normalize", axis, x.shape());
  return x / clamp(norm(x, p, x.ndim() ? Axes(axis) : Axes(), true), eps);
}

Tensor cosine_similarity(const Tensor& a, const Tensor& b, std::int64_t axis, double eps) {
  const detail::Named as("cosine_similarity");
  internal::check_floating("cosine_similarity", a);
  internal::check_same_dtype("cosine_similarity", a, b);
  const Shape shape = shapes::broadcast("cosine_similarity", a.shape(), b.shape());
  axis = shapes::axis("cosine_similarity", axis, shape);
  const Tensor u = normalize(expand(a, shape), 2, axis, eps);
  const Tensor v = normalize(expand(b, shape), 2, axis, eps);
  return sum(u * v, shape.empty() ? Axes() : Axes(axis));
}

Tensor count_nonzero(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("count_nonzero");
  return sum(x != 0.0, axes, keepdims);
}
Tensor any(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("any");
  return sum(x != 0.0, axes, keepdims) > 0.0;
}
Tensor all(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("all");
  return sum(x == 0.0, axes, keepdims) == 0.0;
}

Tensor nansum(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("nansum");
  return is_floating(x.dtype()) ? sum(where(x != x, 0.0, x), axes, keepdims)
                                : sum(x, axes, keepdims);
}
Tensor nanmean(const Tensor& x, const Axes& axes, bool keepdims) {
  const detail::Named as("nanmean");
  internal::check_floating("nanmean", x);
  return nansum(x, axes, keepdims) / sum(x == x, axes, keepdims).to(x.dtype());
}

Tensor diff(const Tensor& x, std::int64_t n, std::int64_t axis) {
  const detail::Named as("diff");
  check_has_axis("diff", x);
  if (n < 0) fail("diff", "n must be at least 0, got {}", n);
  if (x.dtype() == boolean) fail("diff", "needs numbers, got bool; convert with .to(int64)");
  axis = shapes::axis("diff", axis, x.shape());
  Tensor d = x;
  for (std::int64_t i = 0; i < n && d.size(axis) > 0; ++i) {
    const std::int64_t length = d.size(axis) - 1;
    d = narrow(d, axis, 1, length) - narrow(d, axis, 0, length);
  }
  return d;
}

Tensor cov(const Tensor& x, double correction) {
  const detail::Named as("cov");
  return covariance("cov", x, correction);
}

Tensor corrcoef(const Tensor& x) {
  const detail::Named as("corrcoef");
  internal::check_floating("corrcoef", x);
  const Tensor c = covariance("corrcoef", in_units(x), 1);
  if (c.ndim() == 0) return c / c;
  const Tensor deviation = sqrt(diagonal(c));
  return clamp(c / unsqueeze(deviation, 1) / deviation, -1, 1);
}

Tensor trapezoid(const Tensor& y, double dx, std::int64_t axis) {
  const detail::Named as("trapezoid");
  internal::check_floating("trapezoid", y);
  check_has_axis("trapezoid", y);
  axis = shapes::axis("trapezoid", axis, y.shape());
  return sum(neighbours(y, axis), axis) * (0.5 * dx);
}

Tensor trapezoid(const Tensor& y, const Tensor& x, std::int64_t axis) {
  const detail::Named as("trapezoid");
  internal::check_floating("trapezoid", y);
  internal::check_same_dtype("trapezoid", y, x);
  check_has_axis("trapezoid", y);
  axis = shapes::axis("trapezoid", axis, y.shape());
  const bool one_line = x.ndim() == 1 && x.size(0) == y.size(axis);
  if (!one_line && x.shape() != y.shape())
    fail("trapezoid",
         "x must have the shape of y or one entry for each along axis {}, got {} for {}", axis,
         x.shape(), y.shape());
  Tensor width = diff(x, 1, one_line ? 0 : axis);
  if (one_line) {
    Shape along(width.shape());
    for (std::int64_t i = axis + 1; i < y.ndim(); ++i) along.push_back(1);
    width = reshape(width, along);
  }
  return 0.5 * sum(width * neighbours(y, axis), axis);
}

Tensor bincount(const Tensor& x, std::int64_t minlength) {
  const detail::Named as("bincount");
  return bincount(x, ones(x.shape(), int64), minlength);
}

Tensor bincount(const Tensor& x, const Tensor& weights, std::int64_t minlength) {
  const detail::Named as("bincount");
  if (x.dtype() != int64 || x.ndim() != 1)
    fail("bincount", "needs int64 of one axis, got {} of shape {}", name(x.dtype()), x.shape());
  if (weights.shape() != x.shape())
    fail("bincount", "needs one weight for each element, got {} for {}", weights.shape(),
         x.shape());
  if (minlength < 0) fail("bincount", "minlength must be at least 0, got {}", minlength);
  std::int64_t length = minlength;
  const auto* p = x.data<std::int64_t>();
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    if (p[i] < 0 || p[i] == std::numeric_limits<std::int64_t>::max())
      fail("bincount", "values must be at least 0 and less than 2^63 - 1, got {}", p[i]);
    length = std::max(length, p[i] + 1);
  }
  return scatter_add_zeros({length}, 0, x, weights);
}

}  // namespace autograd
