#pragma once

#include <bit>
#include <cstdint>

#include "autograd/formulas/simd.hpp"
#include "autograd/formulas/special.hpp"

#if XGRAD_FAST_MATH
#error "autograd/formulas/simd_math.hpp is wrong with -ffast-math and its parts: leave them out"
#endif

#pragma GCC visibility push(default)

/// The functions of registers: xsimd's where they are right, with what they miss put right, and
/// others where they are not. pow is within 20 units in the last place, tan within 3, erfc within
/// 2.5, the others within about 2.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

// ---------------------------------------------------------------- parts

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
  static constexpr double erfc_end = 11;
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
  static constexpr double erfc_end = 28;
};

/// The polynomial with these coefficients, the constant first.
template <class T, std::size_t N>
Vec<T> polynomial(Vec<T> x, const double (&coefficient)[N]) {
  Vec<T> y = coefficient[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) y = fma(y, x, Vec<T>(coefficient[i]));
  return y;
}

template <class T>
Vec<T> copysign(Vec<T> magnitude, Vec<T> sign) {
  return abs(magnitude).b | xsimd::bitofsign(sign.b);
}

/// The nearest whole number, for |x| far below 2^mantissa.
template <class T>
Vec<T> nearest(Vec<T> x) {
  return (x + Format<T>::to_whole) - Format<T>::to_whole;
}

/// 2^n for whole n within the range of the exponent.
template <class T>
Vec<T> power_of_two(Vec<T> n) {
  using Bits = xsimd::batch<typename Format<T>::Bits>;
  const Vec<T> shifted = n + (Format<T>::to_whole + Format<T>::bias);
  return std::bit_cast<xsimd::batch<T>>(std::bit_cast<Bits>(shifted.b) << Format<T>::mantissa);
}

/// x · 2^n for whole n, also where 2^n alone is no normal number. It rounds once.
template <class T>
Vec<T> scaled(Vec<T> x, Vec<T> n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(x) == 64 && sizeof(T) == 4)
    return xsimd::batch<T>(_mm512_scalef_ps(x.b, n.b));
  else if constexpr (sizeof(x) == 64)
    return xsimd::batch<T>(_mm512_scalef_pd(x.b, n.b));
#endif
  const Vec<T> half = nearest(0.5 * n);
  return x * power_of_two(half) * power_of_two(n - half);
}

/// x within the bounds. NaN stays, because it is neither below nor above; which operand xsimd's max
/// and min give then depends on its version.
template <class T>
Vec<T> bounded(Vec<T> x, double least, double most) {
  return where(x < least, least, where(x > most, most, x));
}

// The parts of exp, by Cody and Waite's reduction: e^x = (1 + tail) · 2^n. The polynomials are
// Cephes' for float and Taylor's for double.
template <class T>
Vec<T> exp_exponent(Vec<T> x) {
  return nearest(x * 1.4426950408889634);
}
template <class T>
Vec<T> exp_tail(Vec<T> r) {
  if constexpr (sizeof(T) == 4) {
    static constexpr double c[] = {5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2,
                                   8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4};
    return r + r * r * polynomial(r, c);
  } else {
    static constexpr double c[] = {1.0 / 2,        1.0 / 6,         1.0 / 24,
                                   1.0 / 120,      1.0 / 720,       1.0 / 5040,
                                   1.0 / 40320,    1.0 / 362880,    1.0 / 3628800,
                                   1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    return r + r * r * polynomial(r, c);
  }
}
/// exp(high + low) as if the sum were exact, for |low| < 1.
template <class T>
Vec<T> exp_of_sum(Vec<T> high, Vec<T> low) {
  using F = Format<T>;
  high = bounded(high, F::exp_least, F::exp_most);
  const Vec<T> n = exp_exponent(high + low);
  return scaled(1 + exp_tail((high - n * F::ln2_high) - (n * F::ln2_low - low)), n);
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

// ---------------------------------------------------------------- rounding
// A result of 0 keeps the sign of x, which xsimd drops without SSE 4.1.

template <class T>
Vec<T> floor(Vec<T> x) {
  return xsimd::floor(x.b) | xsimd::bitofsign(x.b);
}
template <class T>
Vec<T> ceil(Vec<T> x) {
  return xsimd::ceil(x.b) | xsimd::bitofsign(x.b);
}
template <class T>
Vec<T> trunc(Vec<T> x) {
  return xsimd::trunc(x.b) | xsimd::bitofsign(x.b);
}
/// To the nearest whole number, halves to the even one.
template <class T>
Vec<T> round(Vec<T> x) {
  return xsimd::nearbyint(x.b) | xsimd::bitofsign(x.b);
}

// ---------------------------------------------------------------- exponentials and logarithms

template <class T>
Vec<T> exp(Vec<T> x) {
  using F = Format<T>;
  x = bounded(x, F::exp_least, F::exp_most);
  const Vec<T> n = exp_exponent(x);
  return scaled(1 + exp_tail((x - n * F::ln2_high) - n * F::ln2_low), n);
}
template <class T>
Vec<T> exp2(Vec<T> x) {
  x = bounded(x, -Format<T>::bias - Format<T>::mantissa - 2, Format<T>::bias + 2);
  const Vec<T> n = nearest(x);
  return scaled(1 + exp_tail((x - n) * 0.6931471805599453), n);
}
template <class T>
Vec<T> expm1(Vec<T> x) {
  // xsimd's overflows too early, and makes 0 of -0.
  return where(x == 0, x, where(x > 60, exp(x), Vec<T>(xsimd::expm1(x.b))));
}

/// `f` of x through f of 2^54 x below the normal numbers, where xsimd's logarithms are wrong.
template <class T, class F>
Vec<T> with_denormals(F f, Vec<T> x, double log_of_scale) {
  const auto tiny = x < Vec<T>(sizeof(T) == 4 ? 1.17549435e-38 : 2.2250738585072014e-308);
  const Vec<T> y = f(where(tiny, x * 18014398509481984.0, x));
  return where(tiny, y - log_of_scale, y);
}
template <class T>
Vec<T> log(Vec<T> x) {
  return with_denormals([](Vec<T> v) -> Vec<T> { return xsimd::log(v.b); }, x, 37.42994775023705);
}
template <class T>
Vec<T> log2(Vec<T> x) {
  return with_denormals([](Vec<T> v) -> Vec<T> { return xsimd::log2(v.b); }, x, 54);
}
template <class T>
Vec<T> log10(Vec<T> x) {
  return with_denormals([](Vec<T> v) -> Vec<T> { return xsimd::log10(v.b); }, x,
                        16.255619765854984);
}
template <class T>
Vec<T> log1p(Vec<T> x) {
  return where(x == 0, x, Vec<T>(xsimd::log1p(x.b)));
}

// ---------------------------------------------------------------- powers and roots

template <class T>
Vec<T> cbrt(Vec<T> x) {
  const auto tiny = abs(x) < Vec<T>(sizeof(T) == 4 ? 1.17549435e-38 : 2.2250738585072014e-308);
  const Vec<T> y = xsimd::cbrt(where(tiny, x * 18014398509481984.0, x).b);
  return where(tiny, y * (1.0 / 262144), y);
}
/// Without overflow: the operands are brought near 1 by a power of two.
template <class T>
Vec<T> hypot(Vec<T> x, Vec<T> y) {
  constexpr bool narrow = sizeof(T) == 4;
  const Vec<T> infinity = special::infinity, a = abs(x), b = abs(y), most = maximum(a, b);
  const auto large = most > (narrow ? 0x1p60 : 0x1p500),
             small = most < (narrow ? 0x1p-50 : 0x1p-400);
  const Vec<T> down = narrow ? 0x1p-80 : 0x1p-600, up = narrow ? 0x1p90 : 0x1p600;
  const Vec<T> scale = where(large, down, where(small, up, 1));
  const Vec<T> back = where(large, 1 / down, where(small, 1 / up, 1));
  const Vec<T> p = a * scale, q = b * scale;
  return where(a == infinity || b == infinity, infinity, sqrt(fma(p, p, q * q)) * back);
}
/// xsimd's is right for positive finite bases and finite powers. The rest is as in IEEE 754.
template <class T>
Vec<T> pow(Vec<T> x, Vec<T> y) {
  using V = Vec<T>;
  const V base = abs(x), half = V(0.5) * y, infinity = special::infinity;
  const auto whole = y == trunc(y), odd = whole && half != trunc(half);
  V r = xsimd::pow(base.b, y.b);
  r = where(base == V(0), where(y < V(0), infinity, where(y > V(0), V(0), y)), r);
  r = where(base == V(1) && y == y, V(1), r);
  r = where(odd, V(r.b ^ xsimd::bitofsign(x.b)), r);
  r = where(x < V(0) && !whole && base != infinity, V(__builtin_nan("")), r);
  return where(y == V(0) || x == V(1), V(1), r);
}
/// The remainder of the division towards zero, which is exact.
template <class T>
Vec<T> fmod(Vec<T> x, Vec<T> y) {
  return by_lane([](double a, double b) { return __builtin_fmod(a, b); }, x, y);
}
/// The remainder of the division towards minus infinity: 0 or of the sign of y.
template <class T>
Vec<T> remainder(Vec<T> x, Vec<T> y) {
  const Vec<T> r = fmod(x, y);
  return where((r < 0 && y > 0) || (r > 0 && y < 0), r + y, r);
}

// ---------------------------------------------------------------- circular and hyperbolic

template <class T>
Vec<T> sin(Vec<T> x) {
  return xsimd::sin(x.b);
}
template <class T>
Vec<T> cos(Vec<T> x) {
  return xsimd::cos(x.b);
}
template <class T>
Vec<T> tan(Vec<T> x) {
  return xsimd::tan(x.b);
}
template <class T>
Vec<T> asin(Vec<T> x) {
  return xsimd::asin(x.b);
}
template <class T>
Vec<T> acos(Vec<T> x) {
  return xsimd::acos(x.b);
}
template <class T>
Vec<T> atan(Vec<T> x) {
  return xsimd::atan(x.b);
}
template <class T>
Vec<T> atan2(Vec<T> y, Vec<T> x) {
  return by_lane([](double a, double b) { return __builtin_atan2(a, b); }, y, x);
}
template <class T>
Vec<T> sinh(Vec<T> x) {
  return xsimd::sinh(x.b);
}
template <class T>
Vec<T> cosh(Vec<T> x) {
  return xsimd::cosh(x.b);
}
template <class T>
[[gnu::always_inline]] inline Vec<T> tanh(Vec<T> x) {
  if constexpr (sizeof(T) == 8) return xsimd::tanh(x.b);  // this one is nearer there
  // (1 - p) / (1 + p) with p = e^-2|x|, each rounded once; from 20 on it is 1.
  using F = Format<T>;
  const Vec<T> a = abs(x), twice = -2 * where(a > 20, 20, a), n = exp_exponent(twice);
  const Vec<T> tail = exp_tail((twice - n * F::ln2_high) - n * F::ln2_low);
  const Vec<T> scale = power_of_two(n);
  return copysign(fma(scale, tail, scale - 1) / fma(scale, tail, scale + 1), x);
}
template <class T>
Vec<T> asinh(Vec<T> x) {
  const Vec<T> a = abs(x), square = a * a, large = 1e8;
  const Vec<T> y = where(a > large, log(a) + 0.6931471805599453,
                         log1p(where(a > large, 0, a + square / (1 + sqrt(1 + square)))));
  return copysign(y, x);
}
template <class T>
Vec<T> acosh(Vec<T> x) {
  return where(x < 1, Vec<T>(__builtin_nan("")), Vec<T>(xsimd::acosh(x.b)));
}
template <class T>
Vec<T> atanh(Vec<T> x) {
  return xsimd::atanh(x.b);
}

// ---------------------------------------------------------------- error function

// The approximations are those of FreeBSD's s_erf.c (Sun Microsystems, 1993), on three intervals of
// a = |x|. There, from 0.84375 on, this gives erfc(a).
template <class T>
Vec<T> erfc_above(Vec<T> a) {
  static constexpr double p1[] = {-2.36211856075265944077e-03, 4.14856118683748331666e-01,
                                  -3.72207876035701323847e-01, 3.18346619901161753674e-01,
                                  -1.10894694282396677476e-01, 3.54783043256182359371e-02,
                                  -2.16637559486879084300e-03};
  static constexpr double q1[] = {1,
                                  1.06420880400844228286e-01,
                                  5.40397917702171048937e-01,
                                  7.18286544141962662868e-02,
                                  1.26171219808761642112e-01,
                                  1.36370839120290507362e-02,
                                  1.19844998467991074170e-02};
  static constexpr double p2[] = {-9.86494403484714822705e-03, -6.93858572707181764372e-01,
                                  -1.05586262253232909814e+01, -6.23753324503260060396e+01,
                                  -1.62396669462573470355e+02, -1.84605092906711035994e+02,
                                  -8.12874355063065934246e+01, -9.81432934416914548592e+00};
  static constexpr double q2[] = {1,
                                  1.96512716674392571292e+01,
                                  1.37657754143519042600e+02,
                                  4.34565877475229228821e+02,
                                  6.45387271733267880336e+02,
                                  4.29008140027567833386e+02,
                                  1.08635005541779435134e+02,
                                  6.57024977031928170135e+00,
                                  -6.04244152148580987438e-02};
  static constexpr double p3[] = {-9.86494292470009928597e-03, -7.99283237680523006574e-01,
                                  -1.77579549177547519889e+01, -1.60636384855821916062e+02,
                                  -6.37566443368389627722e+02, -1.02509513161107724954e+03,
                                  -4.83519191608651397019e+02};
  static constexpr double q3[] = {1,
                                  3.03380607434824582924e+01,
                                  3.25792512996573918826e+02,
                                  1.53672958608443695994e+03,
                                  3.19985821950859553908e+03,
                                  2.55305040643316442583e+03,
                                  4.74528541206955367215e+02,
                                  -2.24409524465858183362e+01};
  using F = Format<T>;
  a = where(a > F::erfc_end, F::erfc_end, a);  // 0 from there on
  const Vec<T> d = a - 1;
  const Vec<T> middle = 0.154937088489532470703125 - polynomial(d, p1) / polynomial(d, q1);
  const Vec<T> s = 1 / (a * a);
  const Vec<T> ratio = where(a < 1 / 0.35, polynomial(s, p2) / polynomial(s, q2),
                             polynomial(s, p3) / polynomial(s, q3));
  // a² = z² + (a - z)(a + z), where z has so few digits that z² + 0.5625 is exact.
  const Vec<T> z =
      a.b & std::bit_cast<xsimd::batch<T>>(xsimd::batch<typename F::Bits>(F::upper_digits));
  const Vec<T> tail = exp_of_sum(-z * z - 0.5625, (z - a) * (z + a) + ratio) / a;
  return where(a < 1.25, middle, tail);
}
// (erf(x) - x) / x for |x| < 0.84375.
template <class T>
Vec<T> erf_below(Vec<T> x) {
  static constexpr double p[] = {1.28379167095512558561e-01, -3.25042107247001499370e-01,
                                 -2.84817495755985104766e-02, -5.77027029648944159157e-03,
                                 -2.37630166566501626084e-05};
  static constexpr double q[] = {1,
                                 3.97917223959155352819e-01,
                                 6.50222499887672944485e-02,
                                 5.08130628187576562776e-03,
                                 1.32494738004321644526e-04,
                                 -3.96022827877536812320e-06};
  const Vec<T> s = x * x;
  return polynomial(s, p) / polynomial(s, q);
}
template <class T>
Vec<T> erf(Vec<T> x) {
  const Vec<T> a = abs(x);
  if constexpr (sizeof(T) == 4) {
    // Minimax fits of (erf(x) - x) / x in x², relative error 1e-9, and of log(erfc(a)), absolute
    // error of the result 1e-9.
    static constexpr double below[] = {0.12837916572,   -0.37612625809,  0.11283585106,
                                       -0.026853813551, 0.0051883350904, -0.00080102858795,
                                       7.8542331897e-5};
    static constexpr double above[] = {-0.00025901723287, -1.1274163038,  -0.63761506501,
                                       -0.10355496922,    0.022046839198, -0.0029983832391,
                                       0.00019139809099};
    const Vec<T> b = where(a > 4, 4, a);  // 1 from there on
    return where(a < 1, fma(x, polynomial(x * x, below), x),
                 copysign(1 - exp(polynomial(b, above)), x));
  } else {
    return where(a < 0.84375, fma(x, erf_below(x), x), copysign(1 - erfc_above(a), x));
  }
}
template <class T>
Vec<T> erfc(Vec<T> x) {
  const Vec<T> a = abs(x), above = erfc_above(a), excess = x * erf_below(x);
  // Either way one rounding at most is as large as that of the result.
  const Vec<T> below = where(x > 0.25 && x < 0.5, 0.5 - (x - 0.5 + excess), (1 - x) - excess);
  return where(a < 0.84375, below, where(x < 0, 2 - above, above));
}
template <class T>
Vec<T> erfinv(Vec<T> x) {
  return by_lane([](double v) { return special::erfinv(v); }, x);
}

// ---------------------------------------------------------------- gamma function

template <class T>
Vec<T> lgamma(Vec<T> x) {
  return by_lane([](double v) { return special::gamma_log(v); }, x);
}
template <class T>
Vec<T> digamma(Vec<T> x) {
  return by_lane([](double v) { return special::digamma(v); }, x);
}
template <class T>
Vec<T> polygamma(Vec<T> n, Vec<T> x) {
  return by_lane([](double a, double b) { return special::polygamma(a, b); }, n, x);
}

}  // inline namespace
}  // namespace autograd::simd

#pragma GCC visibility pop
