#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

// g++ 12 takes the undefined registers of its own AVX-512 intrinsics for mistakes.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

// The widest instruction set this translation unit is compiled for names the namespace, so that
// objects compiled for different ones can be linked together without sharing a symbol.
#if defined(__AVX512BW__) && defined(__AVX512DQ__)
#define XGRAD_SIMD_NAMESPACE avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define XGRAD_SIMD_NAMESPACE avx2
#else
#define XGRAD_SIMD_NAMESPACE baseline
#endif

/// The number type on which elementwise formulas run: a register full of floats or doubles.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

template <class T>
concept Scalar = std::is_arithmetic_v<T>;

/// `Vec<T>::size` values of type T. Arithmetic, comparisons and functions (simd_math.hpp) work lane
/// by lane and mix with C++ numbers, so that `0.5 * x * (1 + tanh(x))` compiles for it as it does
/// for Tensor.
template <class T>
struct Vec {
  using Batch = xsimd::batch<T>;
  static constexpr std::int64_t size = Batch::size;

  struct Mask {
    typename Batch::batch_bool_type m;
    void store(bool* p) const { m.store_unaligned(p); }
    friend Mask operator&&(Mask a, Mask b) { return {a.m & b.m}; }
    friend Mask operator||(Mask a, Mask b) { return {a.m | b.m}; }
    friend Mask operator!(Mask a) { return {~a.m}; }
  };

  Vec() = default;
  Vec(Batch batch) : b(batch) {}  // NOLINT
  template <Scalar S>
  Vec(S s) : b(static_cast<T>(s)) {}  // NOLINT

  static Vec load(const T* p) { return Batch::load_unaligned(p); }
  void store(T* p) const { b.store_unaligned(p); }

  friend Vec operator+(Vec x, Vec y) { return x.b + y.b; }
  friend Vec operator-(Vec x, Vec y) { return x.b - y.b; }
  friend Vec operator*(Vec x, Vec y) { return x.b * y.b; }
  friend Vec operator/(Vec x, Vec y) { return x.b / y.b; }
  friend Vec operator-(Vec x) { return -x.b; }
  friend Vec operator+(Vec x) { return x; }
  Vec& operator+=(Vec o) { return *this = *this + o; }
  Vec& operator-=(Vec o) { return *this = *this - o; }
  Vec& operator*=(Vec o) { return *this = *this * o; }
  Vec& operator/=(Vec o) { return *this = *this / o; }
  friend Mask operator==(Vec x, Vec y) { return {x.b == y.b}; }
  // xsimd's own != is false for NaN on AVX.
  friend Mask operator!=(Vec x, Vec y) { return {~(x.b == y.b)}; }
  friend Mask operator<(Vec x, Vec y) { return {x.b < y.b}; }
  friend Mask operator<=(Vec x, Vec y) { return {x.b <= y.b}; }
  friend Mask operator>(Vec x, Vec y) { return {x.b > y.b}; }
  friend Mask operator>=(Vec x, Vec y) { return {x.b >= y.b}; }

  friend Vec where(Mask m, Vec x, Vec y) { return xsimd::select(m.m, x.b, y.b); }
  // xsimd's max and min drop NaNs; these keep them.
  friend Vec maximum(Vec x, Vec y) { return where(x > y || x != x, x, y); }
  friend Vec minimum(Vec x, Vec y) { return where(x < y || x != x, x, y); }

  friend Vec abs(Vec x) { return xsimd::abs(x.b); }
  friend Vec sqrt(Vec x) { return xsimd::sqrt(x.b); }
  friend Vec fma(Vec x, Vec y, Vec z) { return xsimd::fma(x.b, y.b, z.b); }

  Batch b;
};

/// Integers go one by one; the compiler vectorises what it can.
template <>
struct Vec<std::int64_t> {
  static constexpr std::int64_t size = 1;

  struct Mask {
    bool m;
    void store(bool* p) const { *p = m; }
    friend Mask operator&&(Mask a, Mask b) { return {a.m && b.m}; }
    friend Mask operator||(Mask a, Mask b) { return {a.m || b.m}; }
    friend Mask operator!(Mask a) { return {!a.m}; }
  };

  Vec() = default;
  template <Scalar S>
  Vec(S s) : v(static_cast<std::int64_t>(s)) {}  // NOLINT

  static Vec load(const std::int64_t* p) { return *p; }
  void store(std::int64_t* p) const { *p = v; }

  // Overflow wraps, as in NumPy.
  static Vec wrap(std::uint64_t u) { return static_cast<std::int64_t>(u); }
  std::uint64_t bits() const { return static_cast<std::uint64_t>(v); }
  friend Vec operator+(Vec x, Vec y) { return wrap(x.bits() + y.bits()); }
  friend Vec operator-(Vec x, Vec y) { return wrap(x.bits() - y.bits()); }
  friend Vec operator*(Vec x, Vec y) { return wrap(x.bits() * y.bits()); }
  friend Vec operator-(Vec x) { return wrap(0 - x.bits()); }
  friend Mask operator==(Vec x, Vec y) { return {x.v == y.v}; }
  friend Mask operator!=(Vec x, Vec y) { return {x.v != y.v}; }
  friend Mask operator<(Vec x, Vec y) { return {x.v < y.v}; }
  friend Mask operator<=(Vec x, Vec y) { return {x.v <= y.v}; }
  friend Mask operator>(Vec x, Vec y) { return {x.v > y.v}; }
  friend Mask operator>=(Vec x, Vec y) { return {x.v >= y.v}; }
  friend Vec where(Mask m, Vec x, Vec y) { return m.m ? x : y; }
  friend Vec maximum(Vec x, Vec y) { return x.v > y.v ? x : y; }
  friend Vec minimum(Vec x, Vec y) { return x.v < y.v ? x : y; }
  friend Vec abs(Vec x) { return x.v < 0 ? -x : x; }
  friend Vec floor(Vec x) { return x; }
  friend Vec ceil(Vec x) { return x; }
  friend Vec trunc(Vec x) { return x; }
  friend Vec round(Vec x) { return x; }

  std::int64_t v;
};

/// Lanes added from left to right by halves; the order never depends on the data.
template <class T>
T sum_lanes(Vec<T> x) {
  T lanes[Vec<T>::size];
  x.store(lanes);
  for (std::int64_t half = Vec<T>::size / 2; half > 0; half /= 2)
    for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

/// The `count` values at p, fewer than a register has; the other lanes hold the last one again.
template <class T>
Vec<T> load_some(const T* p, std::int64_t count) {
  Vec<T> x = p[count - 1];
  if (count == 1) return x;
  T lanes[Vec<T>::size];
  x.store(lanes);
  for (std::int64_t w = 0; w < count; ++w) lanes[w] = p[w];
  return Vec<T>::load(lanes);
}

/// The kernel of every elementwise operation: out[i] = f(in[0][i], …, in[N-1][i]) for i < n. Input
/// k advances by step[k], 1 or 0 (one value for all); a null input is one that f does not use. The
/// last, partial register runs through the same code, so that a value does not depend on its
/// position.
template <class T, int N, class F>
void run_elementwise(const F& f, const void* const* in, const std::int64_t* step, void* out,
                     std::int64_t n) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  constexpr auto all = std::make_integer_sequence<int, N>{};
  std::int64_t i = 0;
  const auto at = [in](int k) { return static_cast<const T*>(in[k]); };
  const auto same = [&](int k) { return V(at(k) ? *at(k) : T{1}); };
  const auto some = [&](int k) { return at(k) && step[k] ? load_some(at(k) + i, n - i) : same(k); };
  const auto rest = [&]<int... K>(std::integer_sequence<int, K...>) { return f(some(K)...); };
  using R = decltype(rest(all));
  using O = std::conditional_t<std::is_same_v<R, typename V::Mask>, bool, T>;
  O* o = static_cast<O*>(out);
  if (n >= W) {
    alignas(V) T buffer[N][W];
    const T* p[N];
    std::int64_t mask[N];
    for (int k = 0; k < N; ++k) {
      p[k] = at(k);
      mask[k] = p[k] && step[k] ? ~std::int64_t{0} : 0;
      if (mask[k]) continue;
      same(k).store(buffer[k]);
      p[k] = buffer[k];
    }
    const auto f_at = [&]<int... K>(std::int64_t j, std::integer_sequence<int, K...>) {
      return f(V::load(p[K] + (j & mask[K]))...);
    };
    for (; i + W <= n; i += W) f_at(i, all).store(o + i);
  }
  if (i == n) return;
  O lanes[W];
  rest(all).store(lanes);
  // The first by itself: for a number of them that varies, the compiler calls memcpy.
  o[i] = lanes[0];
  for (std::int64_t w = 1; i + w < n; ++w) o[i + w] = lanes[w];
}

}  // inline namespace
}  // namespace autograd::simd
