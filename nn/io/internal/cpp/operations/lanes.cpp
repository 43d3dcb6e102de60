#include "nn/io/internal/cpp/operations/product.hpp"

namespace nn::cpp_out {

// Arrays of sums that loops of any compiler keep in registers: plain arrays of floats they do not.
const Kernel kLanes{R"(
// Loops whose counters are constants, such as places of registers.
#if defined(__GNUC__) && !defined(XGRAD_UNROLL)
#define XGRAD_UNROLL _Pragma("GCC unroll 64")
#elif !defined(XGRAD_UNROLL)
#define XGRAD_UNROLL
#endif

// W elements that a register holds, and how many that may be.
#if defined(__GNUC__)
template <class T, Index W>
struct Lanes {
  typedef T type __attribute__((vector_size(W * sizeof(T))));
  static type load(const T* p) {
    type v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(const type& v, T* p) { __builtin_memcpy(p, &v, sizeof v); }
  static T at(const type& v, Index i) { return v[i]; }
};
#else
template <class T, Index W>
struct Lanes;
#endif
template <class T>
struct Lanes<T, 1> {
  using type = T;
  static T load(const T* p) { return *p; }
  static void store(T v, T* p) { *p = v; }
  static T at(T v, Index) { return v; }
};

#if defined(__GNUC__) && defined(__AVX512F__)
constexpr Index kRegister = 64, kTile = 12;
#elif defined(__GNUC__) && defined(__AVX__)
constexpr Index kRegister = 32, kTile = 6;
#elif defined(__GNUC__) && (defined(__aarch64__) || defined(__wasm_simd128__))
constexpr Index kRegister = 16, kTile = 6;
#elif defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON))
constexpr Index kRegister = 16, kTile = 3;
#else
constexpr Index kRegister = 1, kTile = 2;
#endif

// The most lanes into which p elements go without a rest.
template <class T>
constexpr Index lanes_of(Index p) {
  Index w = kRegister / static_cast<Index>(sizeof(T));
  if (w < 1) w = 1;
  while (p % w != 0) w /= 2;
  return w;
}
)"};

}  // namespace nn::cpp_out
