#include "autograd/kernels/elementwise.hpp"

// Nothing is contracted in this file (CMakeLists.txt): a formula does here what it does as a list of
// operations. What it instantiates has names of its own, lest the linker take it from other files.
#define XGRAD_EXACT
#undef xsimd
#define XGRAD_JOINED(a, b) a##_##b
#define XGRAD_NAMED(a, b) XGRAD_JOINED(a, b)
#define xsimd XGRAD_NAMED(xsimd_exact, XGRAD_ISA)
#include "autograd/formulas/formulas.hpp"

// Every row of elementwise.def as kernels, for each dtype that it takes.
namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

template <class T, class F>
void run_value(const void* none, const void* const* in, const std::int64_t* step, void* out,
               std::int64_t n) {
  using V = Vec<T>;
  simd::run_elementwise<T, F::arity>(
      [](const void*, const auto&... x) -> V { return F::value(x...); }, none, in, step, out, n);
}

template <class T, class F, int I>
void run_gradient(const void* none, const void* const* in, const std::int64_t* step, void* out,
                  std::int64_t n) {
  using V = Vec<T>;
  simd::run_elementwise<T, F::arity + 2>(
      [](const void*, const auto&... x) -> V { return F::template gradient<I, V>(x...); }, none, in,
      step, out, n);
}

// Where memory takes the time, and not arithmetic, the tangent is one pass.
template <class F>
constexpr bool kTangent = false;
#define XGRAD_TANGENT(name) \
  template <>               \
  constexpr bool kTangent<simd::name##_formula> = true;
XGRAD_TANGENT(mul)
XGRAD_TANGENT(div)
XGRAD_TANGENT(maximum)
XGRAD_TANGENT(minimum)
XGRAD_TANGENT(leaky_relu)
XGRAD_TANGENT(softshrink)
XGRAD_TANGENT(threshold)
XGRAD_TANGENT(hardtanh)
XGRAD_TANGENT(lerp)
XGRAD_TANGENT(clamp)

// The gradient for each input of a tangent in place of the cotangent, summed.
template <class T, class F>
void run_tangent(const void* none, const void* const* in, const std::int64_t* step, void* out,
                 std::int64_t n) {
  using V = Vec<T>;
  if constexpr (F::arity == 2)
    simd::run_elementwise<T, 5>(
        [](const void*, const V& ta, const V& tb, const auto&... x) -> V {
          return F::template gradient<0, V>(ta, x...) + F::template gradient<1, V>(tb, x...);
        },
        none, in, step, out, n);
  else
    simd::run_elementwise<T, 7>(
        [](const void*, const V& ta, const V& tb, const V& tc, const auto&... x) -> V {
          return F::template gradient<0, V>(ta, x...) + F::template gradient<1, V>(tb, x...) +
                 F::template gradient<2, V>(tc, x...);
        },
        none, in, step, out, n);
}

// A plain loop, which compilers turn into wide comparisons and packed bytes.
template <class T, class F>
void run_compare(const void*, const void* const* in, const std::int64_t* step, void* out,
                 std::int64_t n) {
  const auto *a = static_cast<const T*>(in[0]), *b = static_cast<const T*>(in[1]);
  auto* o = static_cast<bool*>(out);
  const auto run = [&](auto left, auto right) {
    for (std::int64_t i = 0; i < n; ++i) o[i] = F::value(left(i), right(i));
  };
  const auto each = [](const T* p) { return [p](std::int64_t i) { return p[i]; }; };
  const auto same = [](T x) { return [x](std::int64_t) { return x; }; };
  if (n == 0) return;
  if (step[0] && step[1])
    run(each(a), each(b));
  else if (step[0])
    run(each(a), same(*b));
  else if (step[1])
    run(same(*a), each(b));
  else
    run(same(*a), same(*b));
}

template <class F, int I>
constexpr void add_gradient(ElementwiseKernels& k) {
  k.gradient[I][0] = run_gradient<float, F, I>;
  k.gradient[I][1] = run_gradient<double, F, I>;
}

template <class F>
constexpr ElementwiseKernels kernels_of() {
  ElementwiseKernels k;
  k.value[0] = run_value<float, F>;
  k.value[1] = run_value<double, F>;
  if constexpr (F::dtypes == "number") k.value[2] = run_value<std::int64_t, F>;
  add_gradient<F, 0>(k);
  if constexpr (F::arity > 1) add_gradient<F, 1>(k);
  if constexpr (F::arity > 2) add_gradient<F, 2>(k);
  if constexpr (kTangent<F>) {
    k.tangent[0] = run_tangent<float, F>;
    k.tangent[1] = run_tangent<double, F>;
  }
  return k;
}

template <class F>
constexpr ElementwiseKernels comparison() {
  return {{run_compare<float, F>, run_compare<double, F>, run_compare<std::int64_t, F>}, {}};
}

constexpr ElementwiseKernels table[] = {
#define PRIMITIVE(name, ...) kernels_of<simd::name##_formula>(),
#define UNARY(name, ...) kernels_of<simd::name##_formula>(),
#define BINARY(name, ...) kernels_of<simd::name##_formula>(),
#define TERNARY(name, ...) kernels_of<simd::name##_formula>(),
#define COMPARE(name, ...) comparison<simd::name##_formula>(),
#include "autograd/formulas/elementwise.def"
};

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_KERNEL(Elementwise, table)
