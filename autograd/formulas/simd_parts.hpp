#pragma once

#include <bit>
#include <cstdint>

#include "autograd/formulas/simd.hpp"

#if XGRAD_FAST_MATH
#error "autograd/formulas/simd_parts.hpp is wrong with -ffast-math and its parts: leave them out"
#endif

#pragma GCC visibility push(default)

/// What the functions of simd_math.hpp are made of, for any `Register`.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

template <class T>
struct Format;
template <>
struct Format<float> {
  using Bits = std::int32_t;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr double to_whole = 12582912;  // 1.5 · 2^23: adding it rounds to a whole number
  static constexpr double ln2_high = 0.693359375, ln2_low = -2.12194440054690583e-4;
  static constexpr double exp_least = -104.5, exp_most = 89;
  static constexpr Bits upper_digits = static_cast<Bits>(0xffffe000u);
};
template <>
struct Format<double> {
  using Bits = std::int64_t;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double to_whole = 6755399441055744;  // 1.5 · 2^52
  static constexpr double ln2_high = 6.93147180369123816490e-01,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr double exp_least = -746, exp_most = 710;
  static constexpr Bits upper_digits = static_cast<Bits>(0xffffffff00000000u);
};

template <class V>
using FormatOf = Format<typename V::Element>;
template <class V>
inline constexpr bool narrow = sizeof(typename V::Element) == 4;

/// Whether fma of V rounds once.
#if defined(__FMA__) || defined(__AVX512F__) || defined(__aarch64__)
template <class V>
inline constexpr bool fuses = true;
#else
template <class V>
inline constexpr bool fuses = false;
#endif

/// The polynomial with these coefficients, the constant first.
template <Register V, std::size_t N>
V polynomial(V x, const double (&coefficient)[N]) {
  V y = coefficient[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) y = fma(y, x, V(coefficient[i]));
  return y;
}

template <Register V>
V copysign(V magnitude, V sign) {
  return abs(magnitude) | (sign & V(-0.0));
}

/// The nearest whole number, for |x| far below 2^mantissa.
template <Register V>
V nearest(V x) {
  return (x + FormatOf<V>::to_whole) - FormatOf<V>::to_whole;
}

/// The nearest whole number to x · factor, likewise.
template <Register V>
V nearest(V x, double factor) {
  return fma(x, V(factor), V(FormatOf<V>::to_whole)) - FormatOf<V>::to_whole;
}

/// The bits of x, some places to the left, or to the right if there are fewer than 0.
template <class T>
Vec<T> shifted(Vec<T> x, int places) {
  using Bits = xsimd::batch<std::make_unsigned_t<typename Format<T>::Bits>>;
  const Bits bits = std::bit_cast<Bits>(x.b);
  return std::bit_cast<xsimd::batch<T>>(Bits(places < 0 ? bits >> -places : bits << places));
}

/// 2^n for whole n within the range of the exponent.
template <Register V>
V power_of_two(V n) {
  using F = FormatOf<V>;
  return shifted(n + (F::to_whole + F::bias), F::mantissa);
}

/// x · 2^n for whole n, also where 2^n alone is no normal number. It rounds once.
template <Register V>
V scaled_in_halves(V x, V n) {
  const V half = nearest(0.5 * n);
  return x * power_of_two(half) * power_of_two(n - half);
}
template <class T>
Vec<T> scaled(Vec<T> x, Vec<T> n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(x) == 64 && sizeof(T) == 4)
    return xsimd::batch<T>(_mm512_scalef_ps(x.b, n.b));
  else if constexpr (sizeof(x) == 64)
    return xsimd::batch<T>(_mm512_scalef_pd(x.b, n.b));
#endif
  return scaled_in_halves(x, n);
}

/// x within the bounds. NaN stays, because it is neither below nor above; which operand xsimd's max
/// and min give then depends on its version.
template <Register V>
V bounded(V x, double least, double most) {
  const V low(least), high(most), y = where(x > high, high, x);
  return where(y < low, low, y);
}

// The parts of exp, by Cody and Waite's reduction: e^x = (1 + tail) · 2^n. The polynomials are
// minimax for float (relative error of e^r 4e-9) and Taylor's for double.
template <Register V>
V exp_exponent(V x) {
  return nearest(x, 1.4426950408889634);
}
template <Register V>
V exp_tail(V r) {
  if constexpr (narrow<V>) {
    static constexpr double c[] = {0.5, 0.166665285826, 0.041667252779, 0.00836817082018,
                                   0.00138639553916};
    return fma(r * r, polynomial(r, c), r);
  } else {
    static constexpr double c[] = {1.0 / 2,        1.0 / 6,         1.0 / 24,
                                   1.0 / 120,      1.0 / 720,       1.0 / 5040,
                                   1.0 / 40320,    1.0 / 362880,    1.0 / 3628800,
                                   1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    return fma(r * r, polynomial(r, c), r);
  }
}
/// x - n · log(2).
template <Register V>
V exp_rest(V x, V n) {
  using F = FormatOf<V>;
  return fma(n, V(-F::ln2_low), fma(n, V(-F::ln2_high), x));
}
/// exp(high + low) · factor as if the sum were exact, for |low| < 1 and a sum within exp's bounds.
template <Register V>
V exp_of_sum(V high, V low, V factor) {
  using F = FormatOf<V>;
  const V n = exp_exponent(high + low);
  const V tail = exp_tail(fma(n, V(-F::ln2_high), high) - fma(n, V(F::ln2_low), -low));
  return scaled(fma(tail, factor, factor), n);
}
/// exp within its bounds: where it is neither 0 nor infinite.
template <Register V>
V bounded_exp(V x) {
  const V n = exp_exponent(x);
  return scaled(1 + exp_tail(exp_rest(x, n)), n);
}

/// A normal number as (1 + f) · 2^k, with 1 + f between √½ and √2.
template <class V>
struct LogParts {
  V f, k;

  explicit LogParts(V x) {
    using F = FormatOf<V>;
    using T = typename V::Element;
    constexpr auto digits = (typename F::Bits{1} << F::mantissa) - 1;
    // The exponent in the last places of 2^mantissa.
    const V whole = narrow<V> ? 0x1p23 : 0x1p52;
    const V exponent = (shifted(x, -F::mantissa) | whole) - (whole + F::bias);
    const V m = (x & V(std::bit_cast<T>(digits))) | V(1);
    const auto upper = m >= (narrow<V> ? 1.4142135381698608 : 1.4142131805419922);
    f = where(upper, 0.5 * m, m) - 1;
    k = where(upper, exponent + 1, exponent);
  }

  /// log(1 + f) + k log 2 + c, for `low` = k times the lower digits of log 2, + c.
  V sum(V low) const { return fma(k, V(FormatOf<V>::ln2_high), near_one(low)); }
  /// log(1 + f) + c. FreeBSD's e_log.c (Sun Microsystems, 1993), as in xsimd.
  V near_one(V c) const {
    const V s = f / (2 + f), z = s * s, w = z * z, half_square = 0.5 * f * f;
    V odd, even;
    if constexpr (narrow<V>) {
      static constexpr double p[] = {0.40000972151756287, 0.24279078841209412},
                              q[] = {0.6666666269302368, 0.2849878668785095};
      odd = polynomial(w, p), even = polynomial(w, q);
    } else {
      static constexpr double p[] = {0.3999999999940942, 0.22222198432149784, 0.15313837699209373},
                              q[] = {0.6666666666666735, 0.2857142874366239, 0.1818357216161805,
                                     0.14798198605116586};
      odd = polynomial(w, p), even = polynomial(w, q);
    }
    const V r = z * even + w * odd;
    return fma(s, half_square + r, c) - half_square + f;
  }
};
/// x with so few digits that its square is exact, also a little more than that.
template <Register V>
V upper_half(V x) {
  return x & V(std::bit_cast<typename V::Element>(FormatOf<V>::upper_digits));
}

/// f of each lane, computed in double.
template <class T, class F>
Vec<T> by_lane(F f, Vec<T> x) {
  T lane[Vec<T>::size];
  x.store(lane);
  for (T& v : lane) v = static_cast<T>(f(static_cast<double>(v)));
  return Vec<T>::load(lane);
}
template <class T, class F>
Vec<T> by_lane(F f, Vec<T> x, Vec<T> y) {
  T lane[Vec<T>::size], other[Vec<T>::size];
  x.store(lane), y.store(other);
  for (std::int64_t i = 0; i < Vec<T>::size; ++i)
    lane[i] = static_cast<T>(f(static_cast<double>(lane[i]), static_cast<double>(other[i])));
  return Vec<T>::load(lane);
}

}  // inline namespace
}  // namespace autograd::simd

#pragma GCC visibility pop
