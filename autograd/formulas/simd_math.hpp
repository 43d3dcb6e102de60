#pragma once

#include <bit>
#include <cstdint>

#include "autograd/formulas/simd_power.hpp"

#if XGRAD_FAST_MATH
#error "autograd/formulas/simd_math.hpp is wrong with -ffast-math and its parts: leave them out"
#endif

#pragma GCC visibility push(default)

/// The functions of registers: xsimd's where they are right, with what they miss put right, and
/// others where they are not, for any `Register`. In units in the last place tan is within 3, erfc
/// within 3.3 (float64: 2.5), the others within about 2.
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
template <Register V>
V expm1(V x) {
  // 2^n (1 + tail) - 1, and half of that on the way: 2^n may be infinite. From -60 on it is -1.
  const V b = bounded(x, -60, FormatOf<V>::exp_most), n = exp_exponent(b);
  const V half = power_of_two(n - 1), y = 2 * fma(half, exp_tail(exp_rest(b, n)), half - 0.5);
  return where(x == 0, x, y);
}

/// `f` of x through f of 2^54 x below the normal numbers, where xsimd's logarithms are wrong.
template <Register V, class F>
V with_denormals(F f, V x, double log_of_scale) {
  const auto tiny = x < V(narrow<V> ? 1.17549435e-38 : 2.2250738585072014e-308);
  const V y = f(where(tiny, x * 18014398509481984.0, x));
  return where(tiny, y - log_of_scale, y);
}

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
inline Vec<double> log2(Vec<double> x) {  // this one is nearer there
  return with_denormals([](Vec<double> v) -> Vec<double> { return xsimd::log2(v.b); }, x, 54);
}
template <Register V>
requires narrow<V> V log2(V x) {
  const auto normal = [](V v) {
    const LogParts<V> parts(v);
    return log_or_special(fma(parts.near_one(V(0)), V(1.4426950408889634), parts.k), v, v);
  };
  return with_denormals(normal, x, 54);
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

template <Register V>
V cbrt(V x) {
  // The root of 1 + f to 19 bits, interpolated at Chebyshev's points, and a step of Halley's method.
  static constexpr double c[] = {0.99999938201,   0.333315920763,   -0.111000891368,
                                 0.0624521844988, -0.0443565062389, 0.0255660827186};
  const V base = abs(x);
  const auto tiny = base < V(narrow<V> ? 1.17549435e-38 : 2.2250738585072014e-308);
  const LogParts<V> parts(where(tiny, base * 18014398509481984.0, base));
  const V third = nearest(parts.k * (1.0 / 3)), rest = parts.k - 3 * third;
  const auto less = rest<0, more = rest> 0;
  const V root = where(more, V(1.2599210498948732), where(less, V(0.7937005259840998), V(1)));
  const V m = (parts.f + 1) * where(more, V(2), where(less, V(0.5), V(1)));
  const V t = root * polynomial(parts.f, c), square = t * t;
  const V excess = fma(-t, square, m) - t * rest_of(t, t, V(0), square);
  const V y = scaled(fma(t, excess / fma(V(-2), excess, 3 * m), t), where(tiny, third - 18, third));
  return where(base < special::infinity && base != 0, copysign(y, x), x);
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

/// `f` of x, for xsimd's functions of angles. They reduce all lanes as the largest one needs, so that
/// lanes would depend on those beside them: f gets those of each way by themselves.
template <class T, class F>
Vec<T> by_size_of_angle(F f, Vec<T> x) {
  using V = Vec<T>;
  namespace constants = xsimd::constants;
  const V size = abs(x);
  const auto small = size <= V(constants::twentypi<typename V::Batch>()),
             medium = size <= V(constants::mediumpi<typename V::Batch>());
  V y = x;
  for (const auto& lanes : {small, medium && !small, !medium})
    if (xsimd::any(lanes.m)) y = where(lanes, f(where(lanes, x, V(0))), y);
  return y;
}
template <class T>
Vec<T> sin(Vec<T> x) {
  return by_size_of_angle([](Vec<T> v) -> Vec<T> { return xsimd::sin(v.b); }, x);
}
template <class T>
Vec<T> cos(Vec<T> x) {
  return by_size_of_angle([](Vec<T> v) -> Vec<T> { return xsimd::cos(v.b); }, x);
}
template <class T>
Vec<T> tan(Vec<T> x) {
  return by_size_of_angle([](Vec<T> v) -> Vec<T> { return xsimd::tan(v.b); }, x);
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
template <Register V>
V cosh(V x) {
  // e^a / 2 by quarters, as 2^n may be infinite; it is from the bound on.
  const V a = bounded(abs(x), 0, FormatOf<V>::exp_most + 0.5), n = exp_exponent(a);
  const V quarter = power_of_two(n - 2), y = 2 * fma(quarter, exp_tail(exp_rest(a, n)), quarter);
  return y + 0.25 / y;
}
inline Vec<double> tanh(Vec<double> x) { return xsimd::tanh(x.b); }  // this one is nearer there
template <Register V>
requires narrow<V>
[[gnu::always_inline]] inline V tanh(V x) {
  // (1 - p) / (1 + p) with p = e^-2|x| = (1 - u) · 2^n, each rounded once; from 10 on it is 1. The
  // number added to n makes it whole and, but for bits that a shift drops, an exponent; half of log 2
  // is a float but for 1e-9. The polynomial is a minimax fit, relative error of u 1.5e-8.
  static constexpr double c[] = {-2, 1.33332347870, -0.666669368744, 0.267735302448,
                                 -0.0889634415507};
  using F = FormatOf<V>;
  V a = abs(x);
  a = where(a > 10, 10, a);
  const V biased = fma(a, V(-2.8853900817779268), V(F::to_whole + F::bias));
  const V scale = shifted(biased, F::mantissa), n = biased - (F::to_whole + F::bias);
  const V h = fma(n, V(0.34657359027997264), a), u = fma(h * h, polynomial(h, c), h + h);
  const V part = scale * u;  // exact
  return (1 - scale + part) / (1 + scale - part) | (x & V(-0.0));
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
template <Register V>
V atanh(V x) {
  const V a = abs(x), twice = 2 * a;
  const V y = 0.5 * log1p(fma(twice, a / (1 - a), twice));
  return copysign(where(a > 1, V(__builtin_nan("")), y), x);
}

// ---------------------------------------------------------------- error function

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
/// exp(-x²/2) of float32, for |x| ≤ 16.
template <Register V>
requires narrow<V>
[[gnu::always_inline]] inline V normal_bell(V x) {
  // 2^n e^(-r/2), the latter a minimax fit, relative error 3.4e-9. The first fma is exact.
  static constexpr double c[] = {-0.5,          0.124999985099,     -0.0208331458271,
                                 0.00260426756, -0.000261539011262, 2.15949130506e-5};
  using F = FormatOf<V>;
  const V square = x * x, lost = rest_of(x, x, V(0), square),
          n = nearest(square, -0.7213475204444817);
  const V r = fma(n, V(2 * F::ln2_high), square) + fma(n, V(2 * F::ln2_low), lost);
  return scaled(fma(r, polynomial(r, c), V(1)), n);
}
/// The distribution function of the standard normal distribution, float32.
template <Register V>
requires narrow<V>
[[gnu::always_inline]] inline V normal_cdf(const V& x) {
  // e^(a²/2) erfc(a / √2) / 2 = u · q(a u - ½) with u = 1 / (a + 3.75), where q interpolates at
  // Chebyshev's points, relative error 2e-8.
  static constexpr double q[] = {0.7502940675,  -1.176376628,  1.411759832,
                                 -1.212159648,  0.5998401491,  0.03821207217,
                                 -0.2666370333, 0.06672818514, 0.1150388185};
  V a = abs(x);
  a = where(a > 15.6, 15.6, a);  // 0 from there on
  const V u = 1 / (a + 3.75), tail = normal_bell(a) * (u * polynomial(fma(a, u, V(-0.5)), q));
  return where(x < 0, tail, 1 - tail);
}
/// The density of the standard normal distribution, float32.
template <Register V>
requires narrow<V>
[[gnu::always_inline]] inline V normal_pdf(const V& x) {
  V a = abs(x);
  a = where(a > 15.6, 15.6, a);
  return 0.3989422804014327 * normal_bell(a);
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
