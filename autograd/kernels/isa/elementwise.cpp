#include "autograd/formulas/formulas.hpp"
#include "autograd/kernels/kernels.hpp"

#ifndef XGRAD_ISA
#define XGRAD_ISA baseline
#endif

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
void fill_gradient(ElementwiseKernels& k) {
  k.gradient[I][0] = run_gradient<float, F, I>;
  k.gradient[I][1] = run_gradient<double, F, I>;
}

template <class F>
void fill(ElementwiseKernels& k) {
  k.value[0] = run_value<float, F>;
  k.value[1] = run_value<double, F>;
  if constexpr (F::dtypes == "number")
    k.value[2] = run_value<std::int64_t, F>;
  else
    k.value[2] = nullptr;
  fill_gradient<F, 0>(k);
  if constexpr (F::arity > 1) fill_gradient<F, 1>(k);
  if constexpr (F::arity > 2) fill_gradient<F, 2>(k);
}

template <class F>
void fill_compare(ElementwiseKernels& k) {
  k.value[0] = run_compare<float, F>;
  k.value[1] = run_compare<double, F>;
  k.value[2] = run_compare<std::int64_t, F>;
}

}  // namespace

void fill_elementwise(Table& table) {
  ElementwiseKernels* k = table.elementwise;
#define PRIMITIVE(name, ...) fill<simd::name##_formula>(*k++);
#define UNARY(name, ...) fill<simd::name##_formula>(*k++);
#define BINARY(name, ...) fill<simd::name##_formula>(*k++);
#define TERNARY(name, ...) fill<simd::name##_formula>(*k++);
#define COMPARE(name, ...) fill_compare<simd::name##_formula>(*k++);
#include "autograd/formulas/elementwise.def"
}

}  // namespace autograd::kernels::XGRAD_ISA
