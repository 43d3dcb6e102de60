#pragma once

#include <string_view>

#include "autograd/formulas/simd.hpp"
#if !XGRAD_FAST_MATH
#include "autograd/formulas/simd_math.hpp"
#endif

#pragma GCC visibility push(default)

/// The rows of elementwise.def as types and as functions of registers, and dual numbers over them.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

/// True if the identifier occurs in the formula.
constexpr bool mentions(std::string_view formula, char identifier) {
  auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  };
  for (std::size_t i = 0; i < formula.size(); ++i)
    if (formula[i] == identifier && (i == 0 || !word(formula[i - 1])) &&
        (i + 1 == formula.size() || !word(formula[i + 1])))
      return true;
  return false;
}

struct Range {
  double low, high;
};

/// The distribution function of the standard normal distribution, and its density; those of float32
/// registers are in simd_math.hpp.
template <class V>
V normal_cdf(const V& x) {
  return 0.5 * erfc(-0.7071067811865476 * x);
}
template <class V>
V normal_pdf(const V& x) {
  return 0.3989422804014327 * exp(-0.5 * x * x);
}
/// (1 + tanh u) / 2 with u = √(2/π) (x + 0.044715 x³), the factor of gelu_tanh. Beyond ±50 it is
/// exactly 0 or 1.
template <class V>
V gelu_gate(const V& x) {
  const V t = minimum(maximum(x, -50), 50);
  return sigmoid(1.5957691216057308 * (t + 0.044715 * t * t * t));
}
/// x times the derivative of gelu_gate.
template <class V>
V gelu_slope(const V& x) {
  const V t = minimum(maximum(x, -50), 50);
  return gelu_gate(t) * gelu_gate(-t) * t * (1.5957691216057308 + 0.21406444881780076 * t * t);
}

// One type per row: the text, and the same as code that runs on anything with arithmetic. V is
// Vec<T>, Tensor or Dual; operands that a gradient does not mention may be anything.
#define XGRAD_FORMULA(op, kind, arity_, operands, parameters, value_, texts, ranges_, gradients) \
  struct op##_formula {                                                                          \
    static constexpr std::string_view name = #op;                                                \
    static constexpr Row row = Row::op;                                                          \
    static constexpr std::string_view dtypes = #kind;                                            \
    static constexpr std::string_view value_text = #value_;                                      \
    static constexpr std::string_view operand_names = operands;                                  \
    static constexpr int arity = arity_;                                                         \
    static constexpr std::string_view gradient_text[] = texts;                                   \
    static constexpr Range range[] = ranges_;                                                    \
    template <class V>                                                                           \
    static auto value parameters {                                                               \
      return value_;                                                                             \
    }                                                                                            \
    gradients                                                                                    \
  };
#define XGRAD_LIST(...) \
  { __VA_ARGS__ }
#define XGRAD_GRADIENT(i, parameters, text) \
  template <int I, class V>                 \
  requires(I == i) static V gradient parameters { return text; }
#define XGRAD_X (const V& x)
#define XGRAD_GXY \
  ([[maybe_unused]] const V& g, [[maybe_unused]] const V& x, [[maybe_unused]] const V& y)
#define XGRAD_AB (const V& a, const V& b)
#define XGRAD_GABY                                                                        \
  ([[maybe_unused]] const V& g, [[maybe_unused]] const V& a, [[maybe_unused]] const V& b, \
   [[maybe_unused]] const V& y)
#define XGRAD_ABC (const V& a, const V& b, const V& c)
#define XGRAD_GABCY                                                                       \
  ([[maybe_unused]] const V& g, [[maybe_unused]] const V& a, [[maybe_unused]] const V& b, \
   [[maybe_unused]] const V& c, [[maybe_unused]] const V& y)

#define PRIMITIVE(op, kind, gx, low, high) UNARY(op, kind, op(x), gx, low, high)
#define UNARY(op, kind, value, gx, low, high)                                                    \
  XGRAD_FORMULA(op, kind, 1, "x", XGRAD_X, value, XGRAD_LIST(#gx), XGRAD_LIST(Range{low, high}), \
                XGRAD_GRADIENT(0, XGRAD_GXY, gx))
#define BINARY(op, kind, value, ga, gb, alow, ahigh, blow, bhigh)         \
  XGRAD_FORMULA(op, kind, 2, "ab", XGRAD_AB, value, XGRAD_LIST(#ga, #gb), \
                XGRAD_LIST(Range{alow, ahigh}, Range{blow, bhigh}),       \
                XGRAD_GRADIENT(0, XGRAD_GABY, ga) XGRAD_GRADIENT(1, XGRAD_GABY, gb))
#define TERNARY(op, kind, value, ga, gb, gc, alow, ahigh, blow, bhigh, clow, chigh)     \
  XGRAD_FORMULA(op, kind, 3, "abc", XGRAD_ABC, value, XGRAD_LIST(#ga, #gb, #gc),        \
                XGRAD_LIST(Range{alow, ahigh}, Range{blow, bhigh}, Range{clow, chigh}), \
                XGRAD_GRADIENT(0, XGRAD_GABCY, ga) XGRAD_GRADIENT(1, XGRAD_GABCY, gb)   \
                    XGRAD_GRADIENT(2, XGRAD_GABCY, gc))
#define COMPARE(op, value_)                       \
  struct op##_formula {                           \
    static constexpr std::string_view name = #op; \
    template <class V>                            \
    static auto value(const V& a, const V& b) {   \
      return value_;                              \
    }                                             \
  };
#include "autograd/formulas/elementwise.def"

/// The register type of an operation on these operands, registers and numbers.
template <class... A>
using Common = decltype((std::declval<const A&>() + ...));

/// The value of a row on registers, and its gradient by input I from (g, operands…, y).
template <class F, class V>
V value_of(const std::type_identity_t<V>& x, const auto&... more) {
  if constexpr (XGRAD_FAST_MATH && !std::is_same_v<V, Vec<std::int64_t>>)
    return in_library(F::row, kValue, x, V(more)...);
  else
    return F::template value<V>(x, more...);
}
template <class F, int I, class V>
V gradient_of(const V& g, const auto&... more) {
  if constexpr (XGRAD_FAST_MATH)
    return in_library(F::row, I, g, V(more)...);
  else
    return F::template gradient<I, V>(g, more...);
}

// Operations as functions of registers, so that formulas may use one another. A primitive is there
// already, in simd_math.hpp, where it is not the library's.
#if XGRAD_FAST_MATH
#define PRIMITIVE(op, kind, gx, low, high) UNARY(op, kind, op(x), gx, low, high)
#else
#define PRIMITIVE(...)
#endif
#define UNARY(op, ...)                   \
  template <Register V>                  \
  V op(V x) {                            \
    return value_of<op##_formula, V>(x); \
  }
#define BINARY(op, ...)                                                     \
  template <class A, class B>                                               \
  requires Register<Common<A, B>> Common<A, B> op(const A& a, const B& b) { \
    return value_of<op##_formula, Common<A, B>>(a, b);                      \
  }
#define TERNARY(op, ...)                                                                      \
  template <class A, class B, class C>                                                        \
  requires Register<Common<A, B, C>> Common<A, B, C> op(const A& a, const B& b, const C& c) { \
    return value_of<op##_formula, Common<A, B, C>>(a, b, c);                                  \
  }
#define COMPARE(...)
#include "autograd/formulas/elementwise.def"

/// A value and its derivative along one direction (V is a Vec). Running a formula on duals gives
/// both.
template <class V>
struct Dual {
  V v, d;

  Dual() = default;
  Dual(V value, V derivative) : v(value), d(derivative) {}
  template <Scalar S>
  Dual(S s) : v(s), d(0) {}  // NOLINT

  using Mask = typename V::Mask;
  friend Mask operator==(Dual a, Dual b) { return a.v == b.v; }
  friend Mask operator!=(Dual a, Dual b) { return a.v != b.v; }
  friend Mask operator<(Dual a, Dual b) { return a.v < b.v; }
  friend Mask operator<=(Dual a, Dual b) { return a.v <= b.v; }
  friend Mask operator>(Dual a, Dual b) { return a.v > b.v; }
  friend Mask operator>=(Dual a, Dual b) { return a.v >= b.v; }
  friend Dual operator+(Dual x) { return x; }
  friend Dual operator-(Dual x) { return {-x.v, -x.d}; }
  friend Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
  friend Dual operator-(Dual a, Dual b) { return {a.v - b.v, a.d - b.d}; }
  friend Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.d * b.v + a.v * b.d}; }
  friend Dual operator/(Dual a, Dual b) {
    const V y = a.v / b.v;
    return {y, (a.d - y * b.d) / b.v};
  }
  // Numbers have no derivative.
  template <Scalar S>
  friend Dual operator+(Dual a, S s) {
    return {a.v + s, a.d};
  }
  template <Scalar S>
  friend Dual operator+(S s, Dual a) {
    return {s + a.v, a.d};
  }
  template <Scalar S>
  friend Dual operator-(Dual a, S s) {
    return {a.v - s, a.d};
  }
  template <Scalar S>
  friend Dual operator-(S s, Dual a) {
    return {s - a.v, -a.d};
  }
  template <Scalar S>
  friend Dual operator*(Dual a, S s) {
    return {a.v * s, a.d * s};
  }
  template <Scalar S>
  friend Dual operator*(S s, Dual a) {
    return {s * a.v, s * a.d};
  }
  template <Scalar S>
  friend Dual operator/(Dual a, S s) {
    return {a.v / s, a.d / s};
  }
  Dual& operator+=(Dual o) { return *this = *this + o; }
  Dual& operator-=(Dual o) { return *this = *this - o; }
  Dual& operator*=(Dual o) { return *this = *this * o; }
  Dual& operator/=(Dual o) { return *this = *this / o; }
  friend Dual where(Mask m, Dual a, Dual b) { return {where(m, a.v, b.v), where(m, a.d, b.d)}; }
  // The power is a number: no derivative for it, which would be 0 · log(x), NaN below 0.
  template <Scalar S>
  friend Dual pow(Dual a, S b) {
    const V y = pow(a.v, V(b));
    return {y, gradient_of<pow_formula, 0>(a.d, a.v, V(b), y)};
  }

// The derivative of y along a direction is its gradient formula with the direction for the
// cotangent.
#define PRIMITIVE(op, kind, gx, low, high) UNARY(op, kind, op(x), gx, low, high)
#define UNARY(op, kind, value_, gx, low, high)             \
  friend Dual op(Dual x) {                                 \
    const V y = value_of<op##_formula, V>(x.v);            \
    return {y, gradient_of<op##_formula, 0>(x.d, x.v, y)}; \
  }
#define BINARY(op, ...)                                             \
  friend Dual op(Dual a, Dual b) {                                  \
    const V y = value_of<op##_formula, V>(a.v, b.v);                \
    return {y, gradient_of<op##_formula, 0>(a.d, a.v, b.v, y) +     \
                   gradient_of<op##_formula, 1>(b.d, a.v, b.v, y)}; \
  }
#define TERNARY(op, ...)                                                 \
  friend Dual op(Dual a, Dual b, Dual c) {                               \
    const V y = value_of<op##_formula, V>(a.v, b.v, c.v);                \
    return {y, gradient_of<op##_formula, 0>(a.d, a.v, b.v, c.v, y) +     \
                   gradient_of<op##_formula, 1>(b.d, a.v, b.v, c.v, y) + \
                   gradient_of<op##_formula, 2>(c.d, a.v, b.v, c.v, y)}; \
  }
#define COMPARE(...)
#include "autograd/formulas/elementwise.def"
};

}  // inline namespace
}  // namespace autograd::simd

#pragma GCC visibility pop
