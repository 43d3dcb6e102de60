#pragma once

#include <limits>

#include "autograd/formulas/code.hpp"
#include "autograd/formulas/formulas.hpp"

#pragma GCC visibility push(default)

namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

#if XGRAD_FAST_MATH
template <class T>
struct Traced;  // nothing is listed there
#else
/// Adds an operation to the Code that this thread records.
inline std::uint32_t record(Op op, std::uint32_t a, std::uint32_t b = 0, std::uint32_t c = 0,
                            std::uint64_t bits = 0) {
  return Code::current()->add({op, a, b, c, bits});
}

/// A number that stands for a register of T: what a formula does with it is added to the Code that
/// this thread records, in the operations of Vec<T>. Functions that are no list of operations make
/// that Code fail.
template <class T>
struct Traced {
  using Element = T;

  struct Mask {
    std::uint32_t id;
    friend Mask operator&&(Mask a, Mask b) { return {record(Op::mask_and, a.id, b.id)}; }
    friend Mask operator||(Mask a, Mask b) { return {record(Op::mask_or, a.id, b.id)}; }
    friend Mask operator!(Mask a) { return {record(Op::mask_not, a.id)}; }
    friend Mask operator&(Mask a, Mask b) { return a && b; }
    friend Mask operator|(Mask a, Mask b) { return a || b; }
    friend Mask operator~(Mask a) { return !a; }
  };

  Traced() = default;
  template <Scalar S>
  Traced(S s) : id(constant(static_cast<T>(s))) {}  // NOLINT
  /// The value `id` of the Code.
  static Traced of(std::uint32_t id) {
    Traced x;
    x.id = id;
    return x;
  }

  friend Traced operator+(Traced x, Traced y) { return of(record(Op::add, x.id, y.id)); }
  friend Traced operator-(Traced x, Traced y) { return of(record(Op::sub, x.id, y.id)); }
  friend Traced operator*(Traced x, Traced y) { return of(record(Op::mul, x.id, y.id)); }
  friend Traced operator/(Traced x, Traced y) { return of(record(Op::div, x.id, y.id)); }
  friend Traced operator-(Traced x) { return x ^ Traced(T(-0.0)); }
  friend Traced operator+(Traced x) { return x; }
  Traced& operator+=(Traced o) { return *this = *this + o; }
  Traced& operator-=(Traced o) { return *this = *this - o; }
  Traced& operator*=(Traced o) { return *this = *this * o; }
  Traced& operator/=(Traced o) { return *this = *this / o; }
  friend Traced operator&(Traced x, Traced y) { return of(record(Op::bit_and, x.id, y.id)); }
  friend Traced operator|(Traced x, Traced y) { return of(record(Op::bit_or, x.id, y.id)); }
  friend Traced operator^(Traced x, Traced y) { return of(record(Op::bit_xor, x.id, y.id)); }
  friend Mask operator==(Traced x, Traced y) { return {record(Op::equal, x.id, y.id)}; }
  friend Mask operator!=(Traced x, Traced y) { return !(x == y); }
  friend Mask operator<(Traced x, Traced y) { return {record(Op::less, x.id, y.id)}; }
  friend Mask operator<=(Traced x, Traced y) { return {record(Op::less_equal, x.id, y.id)}; }
  friend Mask operator>(Traced x, Traced y) { return y < x; }
  friend Mask operator>=(Traced x, Traced y) { return y <= x; }

  friend Traced where(Mask m, Traced x, Traced y) {
    return of(record(Op::select, m.id, x.id, y.id));
  }
  friend Traced maximum(Traced x, Traced y) { return where(x > y || x != x, x, y); }
  friend Traced minimum(Traced x, Traced y) { return where(x < y || x != x, x, y); }
  friend Traced fma(Traced x, Traced y, Traced z) { return of(record(Op::fma, x.id, y.id, z.id)); }
  friend Traced sqrt(Traced x) { return of(record(Op::sqrt, x.id)); }
  friend Traced abs(Traced x) {
    using Bits = typename Format<T>::Bits;
    return x & Traced(std::bit_cast<T>(std::numeric_limits<Bits>::max()));
  }
  friend Traced floor(Traced x) { return rounded(x, 1); }
  friend Traced ceil(Traced x) { return rounded(x, 2); }
  friend Traced trunc(Traced x) { return rounded(x, 3); }
  friend Traced round(Traced x) { return rounded(x, 0); }
  friend Traced shifted(Traced x, int places) {
    return of(record(Op::shift, x.id, 0, 0, static_cast<std::uint64_t>(places)));
  }
  friend Traced scaled(Traced x, Traced n) {
    return Code::current()->scales() ? of(record(Op::scale, x.id, n.id)) : scaled_in_halves(x, n);
  }

  std::uint32_t id = 0;

 private:
  // By its bits, so that any NaN stays what it is.
  static std::uint32_t constant(T number) {
    using Bits = std::make_unsigned_t<typename Format<T>::Bits>;
    return record(Op::constant, 0, 0, 0, std::bit_cast<Bits>(number));
  }
  static Traced rounded(Traced x, std::uint64_t mode) {
    return of(record(Op::round, x.id, 0, 0, mode)) | (x & Traced(T(-0.0)));
  }
};

template <class T>
inline constexpr bool fuses<Traced<T> > = true;  // the machines for which code is made do

/// A value that no list of operations gives.
template <class T>
Traced<T> not_listed(Traced<T> x) {
  Code::current()->fail();
  return x;
}

#define XGRAD_NOT_LISTED(f)  \
  template <class T>         \
  Traced<T> f(Traced<T> x) { \
    return not_listed(x);    \
  }
#define XGRAD_NOT_LISTED_OF_TWO(f)      \
  template <class T>                    \
  Traced<T> f(Traced<T> x, Traced<T>) { \
    return not_listed(x);               \
  }
XGRAD_NOT_LISTED(log10)
XGRAD_NOT_LISTED(sin)
XGRAD_NOT_LISTED(cos)
XGRAD_NOT_LISTED(tan)
XGRAD_NOT_LISTED(asin)
XGRAD_NOT_LISTED(acos)
XGRAD_NOT_LISTED(atan)
XGRAD_NOT_LISTED(sinh)
XGRAD_NOT_LISTED(acosh)
XGRAD_NOT_LISTED(erfinv)
XGRAD_NOT_LISTED(lgamma)
XGRAD_NOT_LISTED(digamma)
XGRAD_NOT_LISTED_OF_TWO(fmod)
XGRAD_NOT_LISTED_OF_TWO(atan2)
XGRAD_NOT_LISTED_OF_TWO(polygamma)
#undef XGRAD_NOT_LISTED
#undef XGRAD_NOT_LISTED_OF_TWO
// Of float64 these are xsimd's.
inline Traced<double> tanh(Traced<double> x) { return not_listed(x); }
inline Traced<double> log2(Traced<double> x) { return not_listed(x); }
#endif

}  // inline namespace
}  // namespace autograd::simd

#pragma GCC visibility pop
