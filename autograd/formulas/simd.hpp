#pragma once

#include <cstdint>
#include <cstring>
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

#include "autograd/formulas/library.hpp"

// The widest instruction set this translation unit is compiled for names the namespace, and so do
// -ffast-math and XGRAD_EXACT, where nothing is contracted: objects compiled for different ones can
// be linked together without sharing a symbol.
#if defined(__AVX512BW__) && defined(__AVX512DQ__)
#define XGRAD_SIMD_ISA(suffix) avx512##suffix
#elif defined(__AVX2__) && defined(__FMA__)
#define XGRAD_SIMD_ISA(suffix) avx2##suffix
#else
#define XGRAD_SIMD_ISA(suffix) baseline##suffix
#endif
#if XGRAD_FAST_MATH
#define XGRAD_SIMD_NAMESPACE XGRAD_SIMD_ISA(_fast_math)
#elif defined(XGRAD_EXACT)
#define XGRAD_SIMD_NAMESPACE XGRAD_SIMD_ISA(_exact)
#else
#define XGRAD_SIMD_NAMESPACE XGRAD_SIMD_ISA()
#endif

#pragma GCC visibility push(default)

#if defined(__AVX512F__)
// xsimd 8 multiplies and adds for AVX-512, and compilers contract which product they like.
namespace xsimd {
inline batch<float> fma(const batch<float>& x, const batch<float>& y,
                        const batch<float>& z) noexcept {
  return _mm512_fmadd_ps(x, y, z);
}
inline batch<double> fma(const batch<double>& x, const batch<double>& y,
                         const batch<double>& z) noexcept {
  return _mm512_fmadd_pd(x, y, z);
}
inline batch<float> fms(const batch<float>& x, const batch<float>& y,
                        const batch<float>& z) noexcept {
  return _mm512_fmsub_ps(x, y, z);
}
inline batch<double> fms(const batch<double>& x, const batch<double>& y,
                         const batch<double>& z) noexcept {
  return _mm512_fmsub_pd(x, y, z);
}
inline batch<float> fnma(const batch<float>& x, const batch<float>& y,
                         const batch<float>& z) noexcept {
  return _mm512_fnmadd_ps(x, y, z);
}
inline batch<double> fnma(const batch<double>& x, const batch<double>& y,
                          const batch<double>& z) noexcept {
  return _mm512_fnmadd_pd(x, y, z);
}
}  // namespace xsimd
#endif
#if defined(__aarch64__)
// xsimd 8 estimates quotients and roots of floats, also within its functions: last bits are wrong, and
// sqrt(inf) is NaN. Its fnma rounds twice.
namespace xsimd {
template <>
inline batch<float>& batch<float>::operator/=(const batch<float>& y) noexcept {
  return *this = vdivq_f32(*this, y);
}
inline batch<float> sqrt(const batch<float>& x) noexcept { return vsqrtq_f32(x); }
inline batch<float> fnma(const batch<float>& x, const batch<float>& y,
                         const batch<float>& z) noexcept {
  return vfmsq_f32(z, x, y);
}
inline batch<double> fnma(const batch<double>& x, const batch<double>& y,
                          const batch<double>& z) noexcept {
  return vfmsq_f64(z, x, y);
}
}  // namespace xsimd
#endif

/// The number type on which elementwise formulas run: a register full of floats or doubles.
namespace autograd::simd {
inline namespace XGRAD_SIMD_NAMESPACE {

template <class T>
concept Scalar = std::is_arithmetic_v<T>;

/// What formulas run on that is not made of others: Vec, and what stands for it (Traced).
template <class V>
concept Register = requires {
  typename V::Element;
};

/// `Vec<T>::size` values of type T. Arithmetic, comparisons and functions (simd_math.hpp) work lane
/// by lane and mix with C++ numbers, so that `0.5 * x * (1 + tanh(x))` compiles for it as it does
/// for Tensor.
template <class T>
struct Vec {
  using Element = T;
  using Batch = xsimd::batch<T>;
  static constexpr std::int64_t size = Batch::size;

  struct Mask {
    typename Batch::batch_bool_type m;
    void store(bool* p) const { m.store_unaligned(p); }
    friend Mask operator&&(Mask a, Mask b) { return {a.m & b.m}; }
    friend Mask operator||(Mask a, Mask b) { return {a.m | b.m}; }
    friend Mask operator!(Mask a) { return {~a.m}; }
    // As tensors have them.
    friend Mask operator&(Mask a, Mask b) { return a && b; }
    friend Mask operator|(Mask a, Mask b) { return a || b; }
    friend Mask operator~(Mask a) { return !a; }
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
#if XGRAD_FAST_MATH
  // It may become a product with an approximate reciprocal: NaN for 1 / inf.
  friend Vec operator/(Vec x, Vec y) { return in_library(Row::div, kValue, x, y); }
  friend Vec operator-(Vec x) { return -x.b; }
#else
  friend Vec operator/(Vec x, Vec y) { return x.b / y.b; }
  // xsimd's own is 0 - x on AVX-512, where that of 0 is 0.
  friend Vec operator-(Vec x) { return x ^ Vec(T(-0.0)); }
  // Of the bits.
  friend Vec operator&(Vec x, Vec y) { return x.b & y.b; }
  friend Vec operator|(Vec x, Vec y) { return x.b | y.b; }
  friend Vec operator^(Vec x, Vec y) { return x.b ^ y.b; }
#endif
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
#if !XGRAD_FAST_MATH
  // xsimd's max and min drop NaNs; these keep them.
  friend Vec maximum(Vec x, Vec y) { return where(x > y || x != x, x, y); }
  friend Vec minimum(Vec x, Vec y) { return where(x < y || x != x, x, y); }

  friend Vec abs(Vec x) { return xsimd::abs(x.b); }
  friend Vec sqrt(Vec x) { return xsimd::sqrt(x.b); }
  friend Vec fma(Vec x, Vec y, Vec z) { return xsimd::fma(x.b, y.b, z.b); }
#endif

  Batch b;
};

/// A row of elementwise.def on registers, in the library's code; see library.hpp.
template <class T, class... V>
Vec<T> in_library(Row row, int input, Vec<T> x, V... more) {
  T lanes[1 + sizeof...(V)][Vec<T>::size];
  const void* operands[1 + sizeof...(V)];
  int k = 0;
  const auto put = [&](Vec<T> v) {
    v.store(lanes[k]);
    operands[k] = lanes[k];
    ++k;
  };
  put(x), (put(more), ...);
  run_row(row, input, sizeof(T) == 8, operands, lanes[0], Vec<T>::size);
  return Vec<T>::load(lanes[0]);
}

/// Integers go one by one; the compiler vectorises what it can.
template <>
struct Vec<std::int64_t> {
  using Element = std::int64_t;
  static constexpr std::int64_t size = 1;

  struct Mask {
    bool m;
    void store(bool* p) const { *p = m; }
    friend Mask operator&&(Mask a, Mask b) { return {a.m && b.m}; }
    friend Mask operator||(Mask a, Mask b) { return {a.m || b.m}; }
    friend Mask operator!(Mask a) { return {!a.m}; }
    friend Mask operator&(Mask a, Mask b) { return a && b; }
    friend Mask operator|(Mask a, Mask b) { return a || b; }
    friend Mask operator~(Mask a) { return !a; }
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

/// The lanes of x, `by` places to the left; the first ones follow the last.
template <std::size_t by, class R, std::size_t... I>
R turned(R x, std::index_sequence<I...>) {
  return __builtin_shufflevector(x, x, ((I + by) % sizeof...(I))...);
}

/// The lanes of x joined by f(register, register) from left to right by halves; the order never
/// depends on the data.
template <class T, std::size_t half = Vec<T>::size / 2, class F>
T join_lanes(Vec<T> x, F&& f) {
  using Batch = typename Vec<T>::Batch;
  using R = typename Batch::register_type;
  constexpr auto all = std::make_index_sequence<static_cast<std::size_t>(Vec<T>::size)>();
  x = f(x, Vec<T>(Batch(turned<half>(R(x.b), all))));
  if constexpr (half > 1)
    return join_lanes<T, half / 2>(x, f);
  else
    return R(x.b)[0];
}
template <class T>
T sum_lanes(Vec<T> x) {
  return join_lanes(x, [](Vec<T> a, Vec<T> b) { return a + b; });
}

/// `count` values, fewer than `below`, a power of 2. In pieces of fixed sizes: for a number that
/// varies, compilers call memcpy.
template <std::int64_t below, class T>
void copy_some(T* to, const T* from, std::int64_t count) {
  if constexpr (below > 1) {
    constexpr std::int64_t half = below / 2;
    if (count & half) {
      std::memcpy(to, from, half * sizeof(T));
      to += half;
      from += half;
    }
    copy_some<half>(to, from, count);
  }
}

/// A vector again and again. Twice as often each time: of more, g++ 12 makes a detour by memory.
template <class R, class Some, std::size_t... I>
R repeated(Some some, std::index_sequence<I...>) {
  if constexpr (sizeof(Some) == sizeof(R)) {
    return R(some);
  } else {
    constexpr std::size_t n = sizeof...(I);
    return repeated<R>(__builtin_shufflevector(some, some, I..., I...),
                       std::make_index_sequence<2 * n>());
  }
}
template <std::size_t count, class T>
Vec<T> load_repeated(const T* p) {
  typedef T Some __attribute__((vector_size(count * sizeof(T))));
  using Batch = typename Vec<T>::Batch;
  Some some;
  std::memcpy(&some, p, sizeof some);
  return Batch(repeated<typename Batch::register_type>(some, std::make_index_sequence<count>()));
}

/// The `count` values at p, fewer than a register has; the other lanes hold some of them again.
/// Those of a vector of 2, 4 or 8 are read at once, as they were written: a wider load would wait
/// for the store.
template <class T>
Vec<T> load_some(const T* p, std::int64_t count) {
  constexpr std::int64_t width = Vec<T>::size;
  if (count == 1) return Vec<T>(*p);
  if constexpr (width > 2)
    if (count == 2) return load_repeated<2>(p);
  if constexpr (width > 4)
    if (count == 4) return load_repeated<4>(p);
  if constexpr (width > 8)
    if (count == 8) return load_repeated<8>(p);
  alignas(Vec<T>) T all[width];
  Vec<T>(p[count - 1]).store(all);
  copy_some<width>(all, p, count);
  return Vec<T>::load(all);
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/// The lanes of `count` values, for the masked loads and stores of AVX2.
template <class T>
__m256i first_lanes(std::int64_t count) {
  using Lane = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  constexpr std::int64_t width = Vec<T>::size;
  alignas(32) Lane lanes[width];
  for (std::int64_t i = 0; i < width; ++i) lanes[i] = i < count ? -1 : 0;
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes));
}
#endif

/// The `count` values at p, fewer than a register has; the other lanes hold 0.
template <class T>
Vec<T> load_first(const T* p, std::int64_t count) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return typename Vec<T>::Batch(_mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), p));
  else
    return typename Vec<T>::Batch(_mm512_maskz_loadu_pd(__mmask8((1u << count) - 1), p));
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return typename Vec<T>::Batch(_mm256_maskload_ps(p, first_lanes<T>(count)));
  else
    return typename Vec<T>::Batch(_mm256_maskload_pd(p, first_lanes<T>(count)));
#else
  alignas(Vec<T>) T lanes[Vec<T>::size] = {};
  copy_some<Vec<T>::size>(lanes, p, count);
  return Vec<T>::load(lanes);
#endif
}

/// Stores `count` lanes, fewer than a register has.
template <class T>
void store_first(Vec<T> x, T* p, std::int64_t count) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), x.b);
  else
    _mm512_mask_storeu_pd(p, __mmask8((1u << count) - 1), x.b);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    _mm256_maskstore_ps(p, first_lanes<T>(count), x.b);
  else
    _mm256_maskstore_pd(p, first_lanes<T>(count), x.b);
#else
  alignas(Vec<T>) T lanes[Vec<T>::size];
  x.store(lanes);
  copy_some<Vec<T>::size>(p, lanes, count);
#endif
}

/// run_elementwise for fewer elements than a register has. This and run_whole are functions of
/// their own, and take what kernels take, so that few elements do not pay for what many need.
template <class T, int N, class F>
[[gnu::noinline]] void run_few(const void* formula, const void* const* in, const std::int64_t* step,
                               void* out, std::int64_t n) {
  using V = Vec<T>;
  const auto some = [&](int k) {
    const T* p = static_cast<const T*>(in[k]);
    return p && step[k] ? load_some(p, n) : V(p ? *p : T{1});
  };
  const auto y = [&]<int... K>(std::integer_sequence<int, K...>) {
    return F{}(formula, some(K)...);
  }
  (std::make_integer_sequence<int, N>{});
  using O = std::conditional_t<std::is_same_v<decltype(y), const typename V::Mask>, bool, T>;
  alignas(V) O lanes[V::size];
  y.store(lanes);
  copy_some<V::size>(static_cast<O*>(out), lanes, n);
}

template <class T, int N, class F>
[[gnu::noinline]] void run_whole(const void* formula, const void* const* in,
                                 const std::int64_t* step, void* out, std::int64_t n) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  alignas(V) T buffer[N][W];
  const T* p[N];
  std::int64_t mask[N];
  for (int k = 0; k < N; ++k) {
    p[k] = static_cast<const T*>(in[k]);
    mask[k] = p[k] && step[k] ? ~std::int64_t{0} : 0;
    if (mask[k]) continue;
    V(p[k] ? *p[k] : T{1}).store(buffer[k]);
    p[k] = buffer[k];
  }
  const auto f_at = [&]<int... K>(std::int64_t j, std::integer_sequence<int, K...>) {
    return F{}(formula, V::load(p[K] + (j & mask[K]))...);
  };
  constexpr auto all = std::make_integer_sequence<int, N>{};
  using R = decltype(f_at(0, all));
  using O = std::conditional_t<std::is_same_v<R, typename V::Mask>, bool, T>;
  O* o = static_cast<O*>(out);
  // The last ones, fewer than a register has, in one with some before them. It is read first, for
  // the result may go where an operand is.
  const bool rest = n % W != 0;
  for (int k = 0; rest && k < N; ++k)
    if (mask[k]) V::load(p[k] + n - W).store(buffer[k]);
  for (std::int64_t end = n;; end = W) {
    std::int64_t i = 0;
    for (; i + W <= end; i += W) f_at(i, all).store(o + i);
    if (i == end) return;
    for (int k = 0; k < N; ++k) p[k] = buffer[k];
    o += n - W;
  }
}

/// The kernel of every elementwise operation: out[i] = F{}(formula, in[0][i], …, in[N-1][i]) for
/// i < n. Input k advances by step[k], 1 or 0 (one value for all); a null input is one that F does
/// not use. The last, partial register runs through the same code, so that a value does not depend
/// on its position.
template <class T, int N, class F>
void run_elementwise(F, const void* formula, const void* const* in, const std::int64_t* step,
                     void* out, std::int64_t n) {
  if (n >= Vec<T>::size)
    run_whole<T, N, F>(formula, in, step, out, n);
  else if (n > 0)
    run_few<T, N, F>(formula, in, step, out, n);
}

}  // inline namespace
}  // namespace autograd::simd

#pragma GCC visibility pop
