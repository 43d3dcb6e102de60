#pragma once

#include <bit>
#include <cstdint>

#include "autograd/formulas/simd_parts.hpp"
#include "autograd/formulas/special.hpp"

#if XGRAD_FAST_MATH
#error "autograd/formulas/simd_math.hpp is wrong with -ffast-math and its parts: leave them out"
#endif

#pragma GCC visibility push(default)

/// The functions of registers: xsimd's where they are right, with what they miss put right, and
/// others where they are not, for any `Register`. In units in the last place tan is within 3, erfc
/// within 3.3 (float64: 2.5), pow within 36 for results from 1e-9 to 1e9 and within 1200 at the ends
/// of the range (float32: 150), the others within about 2.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

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

template <Register V>
V exp(V x) {
  return bounded_exp(bounded(x, FormatOf<V>::exp_least, FormatOf<V>::exp_most));
}
template <Register V>
V exp2(V x) {
  using F = FormatOf<V>;
  x = bounded(x, -F::bias - F::mantissa - 2, F::bias + 2);
  const V n = nearest(x);
  return scaled(1 + exp_tail((x - n) * 0.6931471805599453), n);
}
template <class T>
Vec<T> expm1(Vec<T> x) {
  // xsimd's overflows too early, and makes 0 of -0.
  return where(x == 0, x, where(x > 60, exp(x), Vec<T>(xsimd::expm1(x.b))));
}

/// `f` of x through f of 2^54 x below the normal numbers, where xsimd's logarithms are wrong.
template <Register V, class F>
V with_denormals(F f, V x, double log_of_scale) {
  const auto tiny = x < V(narrow<V> ? 1.17549435e-38 : 2.2250738585072014e-308);
  const V y = f(where(tiny, x * 18014398509481984.0, x));
  return where(tiny, y - log_of_scale, y);
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

  /// log(1 + f) + k log 2 + c, for `low` = k times the lower digits of log 2, + c. FreeBSD's
  /// e_log.c (Sun Microsystems, 1993), as in xsimd.
  V sum(V low) const {
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
    return fma(k, V(FormatOf<V>::ln2_high), fma(s, half_square + r, low) - half_square + f);
  }
};
/// y, a logarithm of x, but for x = 0 and infinity, and NaN where that of `positive` is none.
template <Register V>
V log_or_special(V y, V x, V positive) {
  const V infinity = special::infinity;
  y = where(positive != 0, where(x == infinity, infinity, y), -infinity);
  return where(!(positive >= 0), V(__builtin_nan("")), y);
}
template <Register V>
V log(V x) {
  const auto normal = [](V v) {
    const LogParts<V> parts(v);
    return log_or_special(parts.sum(parts.k * FormatOf<V>::ln2_low), v, v);
  };
  return with_denormals(normal, x, 37.42994775023705);
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
template <Register V>
V log1p(V x) {
  const V u = x + 1;
  const LogParts<V> parts(u);
  const V lost = where(parts.k >= 2, 1 - (u - x), x - (u - 1)) / u;  // of u
  const V y = parts.sum(parts.k * FormatOf<V>::ln2_low + lost);
  return where(x == 0, x, log_or_special(y, x, u));
}

// ---------------------------------------------------------------- powers and roots

template <class T>
Vec<T> cbrt(Vec<T> x) {
  const auto tiny = abs(x) < Vec<T>(sizeof(T) == 4 ? 1.17549435e-38 : 2.2250738585072014e-308);
  const Vec<T> y = xsimd::cbrt(where(tiny, x * 18014398509481984.0, x).b);
  return where(tiny, y * (1.0 / 262144), y);
}
/// Without overflow: the operands are brought near 1 by a power of two.
template <Register V>
V hypot(V x, V y) {
  const V infinity = special::infinity, a = abs(x), b = abs(y), most = maximum(a, b);
  const auto large = most > (narrow<V> ? 0x1p60 : 0x1p500),
             small = most < (narrow<V> ? 0x1p-50 : 0x1p-400);
  constexpr double down = narrow<V> ? 0x1p-80 : 0x1p-600, up = narrow<V> ? 0x1p90 : 0x1p600;
  const V scale = where(large, V(down), where(small, V(up), V(1)));
  const V back = where(large, V(1 / down), where(small, V(1 / up), V(1)));
  const V p = a * scale, q = b * scale;
  return where(a == infinity || b == infinity, infinity, sqrt(fma(p, p, q * q)) * back);
}
/// Special values are those of IEEE 754. The logarithm is rounded once, so that the error grows with
/// the exponent of the result.
template <class T>
Vec<T> pow(Vec<T> x, Vec<T> y) {
  using V = Vec<T>;
  const V base = abs(x), half = V(0.5) * y, infinity = special::infinity;
  const auto whole = y == trunc(y), odd = whole && half != trunc(half);
  V r = exp(y * log(base));  // xsimd's is wrong for denormal bases and at both ends of the range
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
template <Register V>
V remainder(V x, V y) {
  const V r = fmod(x, y);
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
inline Vec<double> tanh(Vec<double> x) { return xsimd::tanh(x.b); }  // this one is nearer there
template <Register V>
requires narrow<V>
[[gnu::always_inline]] inline V tanh(V x) {
  // (1 - p) / (1 + p) with p = e^-2|x|, each rounded once; from 20 on it is 1.
  const V a = abs(x), twice = -2 * where(a > 20, 20, a), n = exp_exponent(twice);
  const V tail = exp_tail(exp_rest(twice, n)), scale = power_of_two(n);
  return copysign(fma(scale, tail, scale - 1) / fma(scale, tail, scale + 1), x);
}
template <Register V>
V asinh(V x) {
  const V a = abs(x), square = a * a, large = 1e8;
  const V y = where(a > large, log(a) + 0.6931471805599453,
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

/// x with so few digits that its square is exact, also a little more than that.
template <Register V>
V upper_half(V x) {
  return x & V(std::bit_cast<typename V::Element>(FormatOf<V>::upper_digits));
}

// The approximations are those of FreeBSD's s_erf.c (Sun Microsystems, 1993), on three intervals of
// a = |x|. There, from 0.84375 on, this gives erfc(a).
template <Register V>
V erfc_above(V a) {
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
  a = where(a > 28, 28, a);  // 0 from there on
  const V d = a - 1;
  const V middle = 0.154937088489532470703125 - polynomial(d, p1) / polynomial(d, q1);
  const V s = 1 / (a * a);
  const V ratio = where(a < 1 / 0.35, polynomial(s, p2) / polynomial(s, q2),
                        polynomial(s, p3) / polynomial(s, q3));
  // The exponent is -(a² + 0.5625 - ratio).
  const V z = upper_half(a);
  const V tail = exp_of_sum(-z * z - 0.5625, (z - a) * (z + a) + ratio, V(1)) / a;
  return where(a < 1.25, middle, tail);
}
// (erf(x) - x) / x for |x| < 0.84375.
template <Register V>
V erf_below(V x) {
  static constexpr double p[] = {1.28379167095512558561e-01, -3.25042107247001499370e-01,
                                 -2.84817495755985104766e-02, -5.77027029648944159157e-03,
                                 -2.37630166566501626084e-05};
  static constexpr double q[] = {1,
                                 3.97917223959155352819e-01,
                                 6.50222499887672944485e-02,
                                 5.08130628187576562776e-03,
                                 1.32494738004321644526e-04,
                                 -3.96022827877536812320e-06};
  const V s = x * x;
  return polynomial(s, p) / polynomial(s, q);
}
template <Register V>
V erf(V x) {
  const V a = abs(x);
  if constexpr (narrow<V>) {
    // Minimax fits of (erf(x) - x) / x in x², relative error 1e-9, and of log(erfc(a)), absolute
    // error of the result 1e-9.
    static constexpr double below[] = {0.12837916572,   -0.37612625809,  0.11283585106,
                                       -0.026853813551, 0.0051883350904, -0.00080102858795,
                                       7.8542331897e-5};
    static constexpr double above[] = {-0.00025901723287, -1.1274163038,  -0.63761506501,
                                       -0.10355496922,    0.022046839198, -0.0029983832391,
                                       0.00019139809099};
    const V b = where(a > 4, 4, a);  // 1 from there on
    return where(a < 1, fma(x, polynomial(x * x, below), x),
                 copysign(1 - bounded_exp(polynomial(b, above)), x));
  } else {
    return where(a < 0.84375, fma(x, erf_below(x), x), copysign(1 - erfc_above(a), x));
  }
}
template <Register V>
V erfc(V x) {
  V a = abs(x);
  if constexpr (narrow<V>) {
    // e^(a²) erfc(a) = u · q(a u - ½) with u = 1 / (a + 2), where q is a minimax fit, relative error
    // 2e-8, that is 2 for a = 0.
    static constexpr double q[] = {1.02158272,   -1.37432158,  1.1178863,   -0.291502446,
                                   -0.344081491, 0.206153855,  0.195504919, -0.0936230496,
                                   -0.139766037, -0.0277674403};
    a = where(a > 11, 11, a);  // 0 from there on
    const V u = 1 / (a + 2), z = upper_half(a);
    const V above = exp_of_sum(-z * z, (z - a) * (z + a), u * polynomial(a * u - 0.5, q));
    return where(x < 0, 2 - above, above);
  } else {
    const V above = erfc_above(a), excess = x * erf_below(x);
    // Either way one rounding at most is as large as that of the result.
    const V below = where(x > 0.25 && x < 0.5, 0.5 - (x - 0.5 + excess), (1 - x) - excess);
    return where(a < 0.84375, below, where(x < 0, 2 - above, above));
  }
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
