#include <cmath>

#include "autograd/elementwise/builtins.hpp"
#include "autograd/ops/neural/internal/spatial.hpp"
#include "autograd/ops/neural/pooling.hpp"
#include "autograd/tape/internal/tape.hpp"

// Pooling by norms: a formula of other poolings.
namespace autograd {
namespace {

constexpr std::string_view kPower[] = {"lp_pool1d", "lp_pool2d", "lp_pool3d"};

// The pooling for the number of axes.
#define BY_AXES(pool, axes, ...)         \
  ((axes) == 1   ? pool##1d(__VA_ARGS__) \
   : (axes) == 2 ? pool##2d(__VA_ARGS__) \
                 : pool##3d(__VA_ARGS__))

Tensor largest(int axes, const Tensor& x, const Integers& kernel, const LpPoolOptions& o) {
  const MaxPoolOptions options{.stride = o.stride, .ceil_mode = o.ceil_mode};
  return BY_AXES(max_pool, axes, x, kernel, options);
}

Tensor lp_pool(int axes, const Tensor& x, double p, const Integers& kernel,
               const LpPoolOptions& o) {
  const std::string_view op = kPower[axes - 1];
  const detail::Named as(op);
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  if (p == 0 || std::isnan(p)) fail(op, "p must be a number that is not 0, got {}", p);
  if (p == HUGE_VAL) return largest(axes, abs(x), kernel, o);
  if (p == -HUGE_VAL) return -largest(axes, -abs(x), kernel, o);
  double elements = 1;
  for (const std::int64_t k : internal::per_axis(op, "kernel", kernel, axes, 1))
    elements *= static_cast<double>(k);
  const AvgPoolOptions options{.stride = o.stride, .ceil_mode = o.ceil_mode};
  const Tensor powers = pow(x, p),
               total = BY_AXES(avg_pool, axes, powers, kernel, options) * elements,
               zero = total == 0.0;
  return where(zero, p > 0 ? 0.0 : HUGE_VAL, pow(where(zero, 1.0, total), 1 / p));
}
#undef BY_AXES

}  // namespace

Tensor lp_pool1d(const Tensor& x, double p, const Integers& kernel, const LpPoolOptions& options) {
  return lp_pool(1, x, p, kernel, options);
}
Tensor lp_pool2d(const Tensor& x, double p, const Integers& kernel, const LpPoolOptions& options) {
  return lp_pool(2, x, p, kernel, options);
}
Tensor lp_pool3d(const Tensor& x, double p, const Integers& kernel, const LpPoolOptions& options) {
  return lp_pool(3, x, p, kernel, options);
}

}  // namespace autograd
