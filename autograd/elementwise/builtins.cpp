#include "autograd/elementwise/elementwise.hpp"

#include <fmt/format.h>

#include "autograd/core/kernel_call.hpp"
#include "autograd/elementwise/internal/broadcast.hpp"
#include "autograd/elementwise/internal/operands.hpp"
#include "autograd/kernels/elementwise.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using detail::Elementwise;
using detail::ElementwiseInfo;
using internal::kernel_index;
using internal::Operands;

// ---------------------------------------------------------------- built-in rows

// The gradient of a row in tensor operations.
template <class F>
TensorList higher(const ElementwiseInfo& info, const Call& call) {
  const Tensor& g = call.grad();
  Tensor in[F::arity];
  for (int i = 0; i < F::arity; ++i)
    if (info.saves & save_input(static_cast<unsigned>(i)))
      in[i] = call.input(static_cast<std::size_t>(i));
  const Tensor y = info.saves & kSaveOutput ? call.output() : Tensor();
  TensorList out;
  [&]<int... I>(std::integer_sequence<int, I...>) {
    auto one = [&]<int K>(std::integral_constant<int, K>) -> Tensor {
      if constexpr (F::gradient_text[K] == "0")
        return {};
      else
        return F::template gradient<K, Tensor>(g, in[I]..., y);
    };
    (out.push_back(call.needs(I) ? one(std::integral_constant<int, I>{}) : Tensor()), ...);
  }
  (std::make_integer_sequence<int, F::arity>{});
  return out;
}

template <class F>
ElementwiseInfo builtin_info(kernels::ElementwiseId id) {
  const auto& k = kernels::chosen<kernels::Elementwise>()[static_cast<int>(id)];
  ElementwiseInfo info;
  info.name = F::name;
  info.arity = F::arity;
  info.value = {k.value[0], k.value[1], k.value[2]};
  for (int i = 0; i < F::arity; ++i) {
    info.gradient.push_back({k.gradient[i][0], k.gradient[i][1]});
    const std::string_view text = F::gradient_text[i];
    if (text == "g") info.passes |= 1u << i;
    if (text == "0") info.blocks |= 1u << i;
    for (int operand = 0; operand < F::arity; ++operand)
      if (simd::mentions(text, F::operand_names[static_cast<std::size_t>(operand)]))
        info.saves |= save_input(static_cast<unsigned>(operand));
    if (simd::mentions(text, 'y')) info.saves |= kSaveOutput;
  }
  info.tangent = {k.tangent[0], k.tangent[1]};
  info.higher = higher<F>;
  return info;
}

// A comparison: bool out, nothing recorded.
struct Compare {
  std::string_view text;
  const kernels::ElementwiseKernels* kernels;
  XGRAD_ATTRIBUTES(text, kernels)

  std::string_view name() const { return text; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_same_dtype(text, in[0], in[1]);
    return {shapes::broadcast(text, in[0].shape(), in[1].shape()), boolean};
  }
  void forward(const Inputs& in, Tensor& out) const {
    Tensor a = in[0], b = in[1];
    if (a.dtype() == boolean) a = a.to(int64), b = b.to(int64);
    Operands operands(out.numel(), 2);
    operands.set(0, a);
    operands.set(1, b);
    internal::run(kernel(a.dtype()), nullptr, operands, out);
  }
  detail::Pass pass(const Inputs& in, const Tensor&) const {
    if (in[0].dtype() == boolean) return {};
    return {kernel(in[0].dtype()), nullptr, {0, 1}};
  }
  detail::ElementwiseRun kernel(DType d) const { return kernels->value[kernel_index(d)]; }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, in.aligned()); }
};

// Reads both sides, and bools as bytes, so that the loop is vectorised.
template <class T, class A, class B>
void choose(std::int64_t n, const unsigned char* c, T* out, A a, B b) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T x = a(i), y = b(i);
    out[i] = c[i] != 0 ? x : y;
  }
}

struct Where {
  static constexpr bool kBroadcasts = true;
  std::string_view name() const { return "where"; }
  TensorSpec infer(const Inputs& in) const {
    if (in[0].dtype() != boolean)
      fail("where", "the condition must be bool, got {}", autograd::name(in[0].dtype()));
    internal::check_same_dtype("where", in[1], in[2]);
    return {shapes::broadcast("where", shapes::broadcast("where", in[0].shape(), in[1].shape()),
                              in[2].shape()),
            in[1].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (out.numel() == 0) return;
    const Shape* shapes[] = {&in[0].shape(), &in[1].shape(), &in[2].shape()};
    const internal::BroadcastLoop loop(shapes, out.shape());
    dispatch(out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* c = static_cast<const unsigned char*>(in[0].raw());
      const auto* a = static_cast<const T*>(in[1].raw());
      const auto* b = static_cast<const T*>(in[2].raw());
      auto* o = static_cast<T*>(out.raw_mutable());
      const auto sc = loop.inner_step(0), sa = loop.inner_step(1), sb = loop.inner_step(2);
      loop.run_parallel(0.06 * sizeof(T), [&](const std::int64_t* at, std::int64_t out_at) {
        const unsigned char* pc = c + at[0];
        const T *pa = a + at[1], *pb = b + at[2];
        T* po = o + out_at;
        const std::int64_t n = loop.inner();
        if (sc && sa && sb)
          choose(
              n, pc, po, [=](auto i) { return pa[i]; }, [=](auto i) { return pb[i]; });
        else if (sc && sa)
          choose(
              n, pc, po, [=](auto i) { return pa[i]; }, [v = *pb](auto) { return v; });
        else if (sc && sb)
          choose(
              n, pc, po, [v = *pa](auto) { return v; }, [=](auto i) { return pb[i]; });
        else
          for (std::int64_t i = 0; i < n; ++i) po[i] = pc[i * sc] ? pa[i * sa] : pb[i * sb];
      });
    });
  }
  unsigned saves() const { return save_input(0); }
  TensorList backward(const Call& call) const {
    const Tensor c = call.input(0);
    const Tensor& g = call.grad();
    return {Tensor(), call.needs(1) ? where(c, g, 0.0) : Tensor(),
            call.needs(2) ? where(c, 0.0, g) : Tensor()};
  }
  TensorList jvp(const Call& call) const {
    const TensorSpec& spec = call.output_spec();
    const auto along = [&](std::size_t i) {
      return call.tangent(i).defined() ? call.tangent(i) : zeros({}, spec.dtype);
    };
    const Tensor t = apply(Where{}, call.input(0), along(1), along(2));
    return {t.shape() == spec.shape ? t : expand(t, spec.shape)};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, in.aligned()); }
};

}  // namespace

namespace {
template <class F, kernels::ElementwiseId Id, std::same_as<Tensor>... T>
Tensor builtin(const T&... x) {
  static const ElementwiseInfo info = builtin_info<F>(Id);
  return apply(Elementwise{&info}, x...);
}
}  // namespace

// ---------------------------------------------------------------- public names

#define XGRAD_BUILTIN(name, ...) \
  builtin<simd::name##_formula, kernels::ElementwiseId::name>(__VA_ARGS__)
#define PRIMITIVE(name, ...) \
  Tensor name(const Tensor& x) { return XGRAD_BUILTIN(name, x); }
#define UNARY(name, ...) \
  Tensor name(const Tensor& x) { return XGRAD_BUILTIN(name, x); }
#define BINARY(name, ...) \
  Tensor name(const Tensor& a, const Tensor& b) { return XGRAD_BUILTIN(name, a, b); }
#define TERNARY(name, ...)                                         \
  Tensor name(const Tensor& a, const Tensor& b, const Tensor& c) { \
    return XGRAD_BUILTIN(name, a, b, c);                           \
  }
#define COMPARE(name, ...)                                                            \
  static Tensor name(const Tensor& a, const Tensor& b) {                              \
    const auto id = static_cast<int>(kernels::ElementwiseId::name);                   \
    return apply(Compare{#name, &kernels::chosen<kernels::Elementwise>()[id]}, a, b); \
  }
#include "autograd/formulas/elementwise.def"

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return apply(Where{}, condition, a, b);
}
Tensor where(const Tensor& condition, const Tensor& a, double b) {
  return where(condition, a, internal::number_for("where", b, a, 1));
}
Tensor where(const Tensor& condition, double a, const Tensor& b) {
  return where(condition, internal::number_for("where", a, b, 2), b);
}

// Operations whose last operands may be numbers.
#define XGRAD_WITH_NUMBER(op) \
  Tensor op(const Tensor& a, double b) { return op(a, internal::number_for(#op, b, a)); }
XGRAD_WITH_NUMBER(maximum)
XGRAD_WITH_NUMBER(minimum)
XGRAD_WITH_NUMBER(fmod)
XGRAD_WITH_NUMBER(remainder)
XGRAD_WITH_NUMBER(hypot)
XGRAD_WITH_NUMBER(xlogy)

Tensor clamp(const Tensor& x, double low, double high) {
  internal::check_defined("clamp", x);
  if (x.dtype() == int64) {
    // The infinite default bounds have no int64 value.
    constexpr double limit = 9007199254740992.0;
    low = std::max(low, -limit), high = std::min(high, limit);
  }
  return clamp(x, internal::number_for("clamp", low, x), internal::number_for("clamp", high, x));
}

#define XGRAD_OPERATOR(symbol, op)                                              \
  Tensor operator symbol(const Tensor& a, const Tensor& b) { return op(a, b); } \
  Tensor operator symbol(const Tensor& a, double b) {                           \
    return op(a, internal::number_for(#op, b, a));                              \
  }                                                                             \
  Tensor operator symbol(double a, const Tensor& b) {                           \
    return op(internal::number_for(#op, a, b, 1), b);                           \
  }
XGRAD_OPERATOR(+, add)
XGRAD_OPERATOR(-, sub)
XGRAD_OPERATOR(*, mul)
XGRAD_OPERATOR(/, div)
XGRAD_OPERATOR(==, equal)
XGRAD_OPERATOR(!=, not_equal)
XGRAD_OPERATOR(<, less)
XGRAD_OPERATOR(<=, less_equal)
XGRAD_OPERATOR(>, greater)
XGRAD_OPERATOR(>=, greater_equal)

#define XGRAD_ASSIGN(symbol, op)                                             \
  Tensor& operator symbol(Tensor& a, const Tensor& b) { return a = a op b; } \
  Tensor& operator symbol(Tensor& a, double b) { return a = a op b; }
XGRAD_ASSIGN(+=, +)
XGRAD_ASSIGN(-=, -)
XGRAD_ASSIGN(*=, *)
XGRAD_ASSIGN(/=, /)

Tensor operator-(const Tensor& x) { return neg(x); }
Tensor pow(const Tensor& a, double b) {
  const detail::Named as("pow");
  // By far the most used power, whose value has the same bits either way.
  return b == 2 ? square(a) : pow(a, internal::number_for("pow", b, a));
}
Tensor pow(double a, const Tensor& b) { return pow(internal::number_for("pow", a, b, 1), b); }
Tensor xlogy(double a, const Tensor& b) { return xlogy(internal::number_for("xlogy", a, b, 1), b); }
Tensor lerp(const Tensor& a, const Tensor& b, double weight) {
  return lerp(a, b, internal::number_for("lerp", weight, a));
}
Tensor polygamma(std::int64_t n, const Tensor& x) {
  if (n < 0 || n > 170) fail("polygamma", "the order must be in [0, 170], got {}", n);
  internal::check_defined("polygamma", x);
  internal::check_floating("polygamma", x);
  return polygamma(internal::number_for("polygamma", static_cast<double>(n), x), x);
}

}  // namespace autograd
