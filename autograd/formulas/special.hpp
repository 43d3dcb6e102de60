#pragma once

#include <math.h>  // NOLINT: lgamma_r is not in the standard

#include <cstdint>

#include "autograd/formulas/simd.hpp"

#pragma GCC visibility push(default)

/// Special functions of one double, for which no vectorised form is at hand. They call the C
/// library by builtins and not by the functions of `<cmath>`, which might be emitted as shared
/// symbols.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {
namespace special {

inline constexpr double pi = 3.141592653589793;
inline constexpr double infinity = __builtin_inf();

inline double gamma_log(double x) {
  int sign;  // lgamma itself writes a global variable
  return ::lgamma_r(x, &sign);
}

/// x less the nearest whole number, in [-½, ½]: exact, also next to a pole.
inline double from_whole(double x) { return x - __builtin_rint(x); }

/// Bernardo, "Algorithm AS 103", Applied Statistics 25 (1976): the recurrence up to 10, then the
/// asymptotic series; below 0 the reflection formula.
inline double digamma(double x) {
  if (x == 0) return -__builtin_copysign(infinity, x);
  if (x < 0) {
    const double r = from_whole(x);
    if (r == 0 || r != r) return __builtin_nan("");  // a pole, or -inf
    return digamma(1 - x) - pi / __builtin_tan(pi * r);
  }
  if (x == infinity) return x;
  double sum = 0;
  for (; x < 10; x += 1) sum -= 1 / x;
  const double z = 1 / (x * x);
  const double series =
      z * (1.0 / 12 -
           z * (1.0 / 120 -
                z * (1.0 / 252 -
                     z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z * (1.0 / 12)))))));
  return sum + (__builtin_log(x) - 0.5 / x - series);
}

/// x^-k for whole k ≥ 0; a product where that is as exact as pow.
inline double inverse_power(double x, double k) {
  if (k == 1) return 1 / x;
  if (k == 2) return 1 / (x * x);
  if (k == 3) return 1 / (x * x * x);
  return __builtin_pow(x, -k);
}

/// scale · ζ(s, x) for whole s > 1 and x > 0, where ζ(s, x) = Σ (x + k)^-s over k ≥ 0 is the
/// Hurwitz zeta function, by Euler-Maclaurin. Each power is taken in two factors, so that it leaves
/// the range of a double only where the result does.
inline double scaled_zeta(double scale, double s, double x) {
  constexpr double coefficient[] = {// B(2j) / (2j)!
                                    1.0 / 12,
                                    -1.0 / 720,
                                    1.0 / 30240,
                                    -1.0 / 1209600,
                                    1.0 / 47900160,
                                    -691.0 / 1307674368000,
                                    1.0 / 74724249600,
                                    -3617.0 / 10670622842880000.0,
                                    43867.0 / 5109094217170944000.0};
  const double half = __builtin_floor(s / 2);
  double sum = 0;
  for (const double end = 10 + 0.8 * s; x < end; x += 1)
    sum += scale * inverse_power(x, half) * inverse_power(x, s - half);
  double tail = x / (s - 1) + 0.5, rising = s / x;
  for (int j = 0; j < 9; ++j) {
    tail += coefficient[j] * rising;
    rising *= (s + 2 * j + 1) / x * ((s + 2 * j + 2) / x);
  }
  return sum + scale * inverse_power(x, half) * tail * inverse_power(x, s - half);
}

/// The derivative of digamma, for x > 0.
inline double trigamma(double x) {
  double sum = 0;
  for (; x < 10; x += 1) sum += 1 / (x * x);
  const double z = 1 / (x * x);
  const double series =
      z *
      (1.0 / 6 -
       z * (1.0 / 30 -
            z * (1.0 / 42 - z * (1.0 / 30 - z * (5.0 / 66 - z * (691.0 / 2730 - z * (7.0 / 6)))))));
  return sum + (1 + 0.5 / x + series) / x;
}

/// The n-th derivative of digamma, n rounded to a whole number in [0, 170]; otherwise NaN. It is
/// (-1)^(n+1) n! Σ (x + k)^-(n+1) over k ≥ 0; below 0 the terms of either sign are summed by
/// themselves. Called, lest each lane of a register have a copy.
[[gnu::noinline]] inline double polygamma(double order, double x) {
  const double n = __builtin_rint(order);
  if (!(n >= 0 && n <= 170)) return __builtin_nan("");
  if (n == 0) return digamma(x);
  const double sign = n - 2 * __builtin_floor(n / 2) - 0.5 > 0 ? 1 : -1;
  if (x == infinity) return 0 * sign;
  if (n == 1 && x > 0) return trigamma(x);
  const double s = n + 1, factorial = __builtin_tgamma(s);
  if (x > 0) return sign * scaled_zeta(factorial, s, x);
  const double r = from_whole(x);
  if (r == 0) return sign * infinity;
  if (r != r) return r;
  // The distances to the whole numbers below and above; that to the nearer one is exact.
  const double below = r > 0 ? r : 1 + r, above = r > 0 ? 1 - r : -r;
  // Of even order the two nearly cancel half way between poles: before anything else is added.
  const double near = scaled_zeta(1, s, below) + sign * scaled_zeta(1, s, above);
  return sign * (factorial * near - sign * scaled_zeta(factorial, s, 1 - x));
}

/// The inverse of erf: Winitzki's approximation (2008), then three steps of Halley's method, near
/// ±1 on erfc, which keeps its digits there.
inline double erfinv(double x) {
  const double a = __builtin_fabs(x);
  if (!(a < 1)) return a == 1 ? __builtin_copysign(infinity, x) : __builtin_nan("");
  if (a < 1e-8) return x * 0.886226925452758;
  const double w = __builtin_log1p(-a * a), t = 4.330746750799873 + w / 2, u = -w / 0.147;
  double y = __builtin_sqrt(u / (__builtin_sqrt(t * t + u) + t));
  for (int i = 0; i < 3; ++i) {
    const double error = a < 0.5 ? __builtin_erf(y) - a : (1 - a) - __builtin_erfc(y);
    const double step = error * (0.886226925452758 * __builtin_exp(y * y));
    y -= step / (1 + y * step);
  }
  return __builtin_copysign(y, x);
}

}  // namespace special
}  // inline namespace
}  // namespace autograd::simd

#pragma GCC visibility pop
