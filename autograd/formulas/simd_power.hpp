#pragma once

#include "autograd/formulas/simd_parts.hpp"
#include "autograd/formulas/special.hpp"

#pragma GCC visibility push(default)

/// x^y on numbers in two parts, for any `Register`.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

/// hi + lo, with |lo| about an ulp of hi at most.
template <class V>
struct TwoParts {
  V hi, lo;
};

/// The rest of a · b + c that is not in `sum`, which is fma(a, b, c): rounded once where the
/// register fuses, and by Dekker's splitting (Numerische Mathematik 18, 1971) elsewhere.
template <Register V>
[[gnu::always_inline]] inline V rest_of(V a, V b, V c, V sum) {
  if constexpr (fuses<V>) {
    return fma(a, b, c - sum);
  } else {
    const V product = a * b, p = upper_half(a), q = a - p, r = upper_half(b), s = b - r;
    return ((c - sum) + product) + (((p * r - product) + p * s + q * r) + q * s);
  }
}
/// c + x t, where the product is no larger than c or c is 0. Products are in an fma each, so that
/// no compiler contracts them into something else.
template <Register V>
[[gnu::always_inline]] inline TwoParts<V> multiplied_onto(TwoParts<V> c, TwoParts<V> x,
                                                          TwoParts<V> t) {
  const V sum = fma(x.hi, t.hi, c.hi);
  return {sum, rest_of(x.hi, t.hi, c.hi, sum) + fma(x.hi, t.lo, fma(x.lo, t.hi, c.lo))};
}
template <Register V>
TwoParts<V> two_parts(double hi, double lo) {
  return {V(hi), V(lo)};
}

/// log2(x) for a finite x > 0 as a whole number k and 2 / log(2) · artanh(s), where x = m · 2^k with
/// m from √½ to √2 and s = (m - 1) / (m + 1). The polynomials here and below interpolate at
/// Chebyshev's points: relative error 2^-68, of float 2^-41.
template <Register V>
[[gnu::always_inline]] inline TwoParts<V> log2_parts(V x) {
  const auto tiny = x < V(narrow<V> ? 1.17549435e-38 : 2.2250738585072014e-308);
  const LogParts<V> parts(where(tiny, x * 18014398509481984.0, x));
  const V k = where(tiny, parts.k - 54, parts.k);
  const V below = 2 + parts.f, lost = parts.f - (below - 2), inverse = 1 / below;
  TwoParts<V> s{parts.f * inverse, 0};
  s.lo = fma(-s.hi, lost, rest_of(-s.hi, below, parts.f, V(0))) * inverse;
  const TwoParts<V> none{0, 0}, z = multiplied_onto(none, s, s);
  TwoParts<V> t = none;
  if constexpr (narrow<V>) {
    static constexpr double q[] = {0.577078044414520264, 0.412200063467025757, 0.320346951484680176,
                                   0.275851249694824219};
    t.hi = polynomial(z.hi, q);
    t = multiplied_onto(two_parts<V>(0.96179670095443725586, -7.0284618125526776566e-9), z, t);
    t = multiplied_onto(two_parts<V>(2.8853900432586669922, 3.851926067000022158e-8), z, t);
  } else {
    static constexpr double q[] = {0.412198583111132777, 0.320598897974147867, 0.262308189891435561,
                                   0.221952953382170665, 0.192371875573669443, 0.169109871717667282,
                                   0.166868897164998892};
    t.hi = polynomial(z.hi, q);
    t = multiplied_onto(two_parts<V>(0.57707801635558531039, 5.2551030481378674861e-17), z, t);
    t = multiplied_onto(two_parts<V>(0.96179669392597555433, 5.0577616648125906755e-17), z, t);
    t = multiplied_onto(two_parts<V>(2.885390081777926774, 4.0710547481862066222e-17), z, t);
  }
  return multiplied_onto(TwoParts<V>{k, 0}, s, t);
}

/// 2^x, rounded once more than the exact value; 0 and infinity beyond the range, NaN for NaN.
template <Register V>
[[gnu::always_inline]] inline V exp2_of_parts(TwoParts<V> x) {
  constexpr double limit = narrow<V> ? 160 : 1100;
  const V exponent = bounded(x.hi, -limit, limit), n = nearest(exponent), r = exponent - n;
  const V low = where(exponent == x.hi, 0.6931471805599453 * x.lo, 0);
  V t;
  if constexpr (narrow<V>) {
    static constexpr double c[] = {0.240226507186889648,    0.0555041097104549408,
                                   0.00961808301508426666,  0.00133335217833518982,
                                   0.000154531633597798645, 0.0000152909487951546907};
    t = polynomial(r, c);
  } else {
    static constexpr double c[] = {
        0.240226506959100722,    0.055504108664821597,   0.00961812910762847861,
        0.00133335581464169356,  0.00015403530393375914, 0.0000152527338298361192,
        1.32154868029039312e-6,  1.01780624458457737e-7, 7.05489995637264875e-9,
        4.45496059818651856e-10, 2.57250805768363595e-11};
    t = polynomial(r, c);
  }
  const TwoParts<V> rest{r, 0};
  const TwoParts<V> slope =
      multiplied_onto(narrow<V> ? two_parts<V>(0.69314718246459960938, -1.9046542121259335545e-9)
                                : two_parts<V>(0.69314718055994528623, 2.3190468138462995584e-17),
                      rest, TwoParts<V>{t, 0});
  const TwoParts<V> y = multiplied_onto(TwoParts<V>{1, 0}, rest, slope);
  return scaled(y.hi + fma(y.hi, low, y.lo), n);
}

/// Special values are those of IEEE 754. A power that the format can hold is exact, others are
/// rounded once and a little; one below the normal numbers is rounded twice.
template <Register V>
V pow(V x, V y) {
  const V base = abs(x), half = 0.5 * y, infinity = special::infinity;
  TwoParts<V> log = log2_parts(base);
  log.hi = where(base < infinity, where(base == 0, -infinity, log.hi), base);
  V r = exp2_of_parts(multiplied_onto(TwoParts<V>{0, 0}, TwoParts<V>{y, 0}, log));
  const auto whole = y == trunc(y), odd = whole && half != trunc(half);
  r = where(odd, r ^ (x & V(-0.0)), r);
  r = where(x < 0 && !whole && base != infinity, V(__builtin_nan("")), r);
  r = where(y == 2, x * x, r);
  return where(y == 0 || x == 1 || (base == 1 && abs(y) == infinity), 1, r);
}

}  // inline namespace
}  // namespace autograd::simd

#pragma GCC visibility pop
