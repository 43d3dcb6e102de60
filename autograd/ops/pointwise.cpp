#include "autograd/elementwise.hpp"

#include <fmt/format.h>

#include "autograd/kernels/kernels.hpp"
#include "autograd/ops/broadcast.hpp"
#include "autograd/ops/internal.hpp"

namespace autograd {
namespace {

using detail::Elementwise;
using detail::ElementwiseInfo;

std::size_t kernel_index(DType d) { return static_cast<std::size_t>(d); }

// The operands of a formula over n elements (null: one that it does not use), with room for
// cotangent and result.
struct Operands {
  static constexpr std::size_t kMost = 10;
  std::int64_t n;
  std::size_t count = 0;
  bool flat = true;  // each has n elements or one
  const Tensor* tensor[kMost];
  const void* p[kMost];
  std::int64_t step[kMost];

  explicit Operands(std::int64_t elements) : n(elements) {}
  void add(const Tensor* t) {
    const std::size_t k = count++;
    tensor[k] = t;
    p[k] = nullptr;
    step[k] = 0;
    if (!t) return;
    const auto& impl = *t->impl();
    flat &= impl.numel == n || impl.numel == 1;
    if (const void* value = impl.storage->repeated()) [[unlikely]] {
      p[k] = value;
      return;
    }
    p[k] = impl.storage->data();
    step[k] = impl.numel == n;
  }
};

// Rough nanoseconds of an element, for thresholds.
double cost(const Operands& in) {
  return 0.06 * static_cast<double>(size_of(in.tensor[0]->dtype()));
}

inline void run(detail::ElementwiseRun kernel, const void* formula, const Operands& in,
                Tensor& out);

// Operands that are neither whole nor single elements.
[[gnu::noinline]] void run_broadcast(detail::ElementwiseRun kernel, const void* formula,
                                     const Operands& in, Tensor& out) {
  const Shape* shapes[Operands::kMost];
  for (std::size_t k = 0; k < in.count; ++k)
    shapes[k] = in.tensor[k] ? &in.tensor[k]->shape() : nullptr;
  const internal::BroadcastLoop loop({shapes, in.count}, out.shape());
  if (loop.inner() < 16) {
    // Runs too short for registers: spell the broadcast operands out first.
    InlineVector<Tensor, Operands::kMost> spelt(in.count);
    Operands full(in.n);
    for (std::size_t k = 0; k < in.count; ++k) {
      const Tensor* t = in.tensor[k];
      if (t && t->numel() != in.n && t->numel() != 1) {
        spelt[k] = internal::expanded(*t, out.shape());
        t = &spelt[k];
      }
      full.add(t);
    }
    return run(kernel, formula, full, out);
  }
  std::int64_t step[Operands::kMost] = {};
  const char* whole[Operands::kMost];
  for (std::size_t k = 0; k < in.count; ++k) {
    step[k] = loop.inner_step(k);
    whole[k] = in.tensor[k] ? static_cast<const char*>(in.tensor[k]->raw()) : nullptr;
  }
  auto* o = static_cast<char*>(out.raw_mutable());
  const auto out_bytes = static_cast<std::int64_t>(size_of(out.dtype()));
  loop.run_parallel(cost(in), [&](const std::int64_t* offsets, std::int64_t out_offset) {
    const void* at[Operands::kMost] = {};
    for (std::size_t k = 0; k < in.count; ++k)
      if (whole[k])
        at[k] = whole[k] + offsets[k] * static_cast<std::int64_t>(size_of(in.tensor[k]->dtype()));
    kernel(formula, at, step, o + out_offset * out_bytes, loop.inner());
  });
}

// Runs one kernel over broadcast operands into `out`, which has in.n elements.
inline void run(detail::ElementwiseRun kernel, const void* formula, const Operands& in,
                Tensor& out) {
  if (in.n == 0) return;
  if (!in.flat) return run_broadcast(kernel, formula, in, out);
  void* o = out.impl()->storage->data_to_overwrite();
  // Below one step of parallel_for the test alone would cost more than the kernel.
  if (in.n <= 64) return kernel(formula, in.p, in.step, o, in.n);
  parallel_for(in.n, 64, cost(in), [&](std::int64_t begin, std::int64_t end) {
    if (end - begin == in.n) return kernel(formula, in.p, in.step, o, in.n);
    const void* at[Operands::kMost] = {};
    for (std::size_t k = 0; k < in.count; ++k)
      if (in.p[k])
        at[k] = static_cast<const char*>(in.p[k]) +
                begin * in.step[k] * static_cast<std::int64_t>(size_of(in.tensor[k]->dtype()));
    kernel(formula, at, in.step,
           static_cast<char*>(o) + begin * static_cast<std::int64_t>(size_of(out.dtype())),
           end - begin);
  });
}

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
  const auto& k = kernels::active().elementwise[static_cast<int>(id)];
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
  info.higher = higher<F>;
  return info;
}

// A comparison: bool out, nothing recorded.
struct Compare {
  std::string_view text;
  kernels::ElementwiseId id;

  std::string_view name() const { return text; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_same_dtype(text, in[0], in[1]);
    return {shapes::broadcast(text, in[0].shape(), in[1].shape()), boolean};
  }
  void forward(const Inputs& in, Tensor& out) const {
    Tensor a = in[0], b = in[1];
    if (a.dtype() == boolean) a = a.to(int64), b = b.to(int64);
    Operands operands(out.numel());
    operands.add(&a);
    operands.add(&b);
    run(kernel(a.dtype()), nullptr, operands, out);
  }
  detail::Pass pass(const Inputs& in, const Tensor&) const {
    if (in[0].dtype() == boolean) return {};
    return {kernel(in[0].dtype()), nullptr, {0, 1}};
  }
  detail::ElementwiseRun kernel(DType d) const {
    return kernels::active().elementwise[static_cast<int>(id)].value[kernel_index(d)];
  }
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
    const Tensor c = call.input(0), g = call.grad();
    auto part = [&](std::size_t i, const Tensor& masked) {
      return sum_to(masked, call.input_shape(i));
    };
    return {Tensor(), call.needs(1) ? part(1, where(c, g, 0.0)) : Tensor(),
            call.needs(2) ? part(2, where(c, 0.0, g)) : Tensor()};
  }
};

}  // namespace

// ---------------------------------------------------------------- the operation

TensorSpec Elementwise::infer(const Inputs& in) const {
  for (std::size_t i = 1; i < in.size(); ++i) internal::check_same_dtype(info->name, in[0], in[i]);
  const DType d = in[0].dtype();
  if (d == boolean || !info->value[kernel_index(d)]) {
    if (info->value[2])
      fail(info->name, "needs numbers, got {}; convert with .to(int64)", autograd::name(d));
    internal::check_floating(info->name, in[0]);
  }
  TensorSpec out{in[0].shape(), d};
  for (std::size_t i = 1; i < in.size(); ++i)
    if (in[i].shape() != out.shape)
      out.shape = shapes::broadcast(info->name, out.shape, in[i].shape());
  return out;
}

void Elementwise::forward(const Inputs& in, Tensor& out) const {
  Operands operands(out.numel());
  for (std::size_t i = 0; i < in.size(); ++i) operands.add(&in[i]);
  run(info->value[kernel_index(out.dtype())], info->formula, operands, out);
}

detail::Pass Elementwise::pass(const Inputs& in, const Tensor& out) const {
  detail::Pass p{info->value[kernel_index(out.dtype())], info->formula};
  for (std::size_t i = 0; i < in.size(); ++i) p.operands.push_back(static_cast<int>(i));
  return p;
}

namespace {

// The gradient of an elementwise operation for one input, before the sum over broadcast axes. Its
// inputs: the cotangent, then what the operation saved, in the order of the formula.
struct ElementwiseGradient {
  const ElementwiseInfo* info;
  std::size_t input;
  std::shared_ptr<const void> owner;

  std::string_view name() const { return info->name; }
  // use(k): operand k of the formula is an input; skip(): it is none.
  template <class Use, class Skip>
  void for_each_operand(Use&& use, Skip&& skip) const {
    std::size_t next = 0;
    use(next++);
    for (std::size_t i = 0; i <= info->arity; ++i) {
      const bool saved =
          info->saves & (i < info->arity ? save_input(static_cast<unsigned>(i)) : kSaveOutput);
      saved ? use(next++) : skip();
    }
  }
  void forward(const Inputs& in, Tensor& out) const {
    Operands operands(out.numel());
    for_each_operand([&](std::size_t k) { operands.add(&in[k]); }, [&] { operands.add(nullptr); });
    run(info->gradient[input][kernel_index(out.dtype())], info->formula, operands, out);
  }
  detail::Pass pass(const Inputs&, const Tensor& out) const {
    detail::Pass p{info->gradient[input][kernel_index(out.dtype())], info->formula};
    for_each_operand([&](std::size_t k) { p.operands.push_back(static_cast<int>(k)); },
                     [&] { p.operands.push_back(-1); });
    return p;
  }
};

void trace_gradient(const ElementwiseGradient& gradient, const Operands& operands, Tensor& out) {
  InlineVector<const Tensor*, Operands::kMost> in;
  for (std::size_t k = 0; k < operands.count; ++k)
    if (operands.tensor[k]) in.push_back(operands.tensor[k]);
  compute(gradient, Inputs({in.data(), in.size()}), out);
}

}  // namespace

TensorList Elementwise::backward(const Call& call) const {
  const ElementwiseInfo& f = *info;
  const unsigned arity = static_cast<unsigned>(f.arity), saves = f.saves, passes = f.passes;
  TensorList result;
  // Sums a gradient over the axes along which its input was repeated.
  const auto finish = [&](unsigned i, Tensor& gradient) {
    if (gradient.shape() != call.input_shape(i)) gradient = sum_to(gradient, call.input_shape(i));
  };
  const auto zero = [&](unsigned i) {
    return zeros(call.input_shape(i), call.output_spec().dtype);
  };
  if (grad_enabled()) {
    result = f.higher(f, call);
    for (unsigned i = 0; i < arity; ++i) {
      if (!call.needs(i)) continue;
      if (!result[i].defined()) result[i] = zero(i);
      finish(i, result[i]);
    }
    return result;
  }
  Tensor g = call.take_grad();
  const std::size_t kernel = kernel_index(g.dtype());
  Operands operands(g.numel());
  operands.add(&g);
  unsigned left = 0;  // inputs that still want a gradient of their own
  for (unsigned i = 0; i < arity; ++i) {
    operands.add(saves & save_input(i) ? &call.input_value(i) : nullptr);
    if (call.needs(i)) left |= 1u << i;
  }
  operands.add(saves & kSaveOutput ? &call.output_value() : nullptr);
  for (unsigned i = 0; i < arity; ++i) {
    const unsigned bit = 1u << i;
    result.emplace_back();
    if (!(left & bit)) continue;
    left &= ~bit;
    Tensor& out = result.back();
    if (f.blocks & bit) {
      out = zero(i);
      continue;
    }
    // The last one may take the cotangent: kernels read each element before they write it.
    const bool last = !(left & ~f.blocks);
    if (passes & bit) {
      out = last ? std::move(g) : g;
    } else {
      const bool in_place = last && internal::sole_owner(g);
      if (!in_place) out = empty_like(g);
      Tensor& filled = in_place ? g : out;
      if (detail::tracing) [[unlikely]]
        trace_gradient(ElementwiseGradient{info, i, owner}, operands, filled);
      else
        run(f.gradient[i][kernel], f.formula, operands, filled);
      if (in_place) out = std::move(g);
    }
    finish(i, out);
  }
  return result;
}

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
#define COMPARE(name, ...)                                            \
  static Tensor name(const Tensor& a, const Tensor& b) {              \
    return apply(Compare{#name, kernels::ElementwiseId::name}, a, b); \
  }
#include "autograd/elementwise.def"

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return apply(Where{}, condition, a, b);
}
Tensor where(const Tensor& condition, const Tensor& a, double b) {
  return where(condition, a, scalar_like(b, a));
}
Tensor where(const Tensor& condition, double a, const Tensor& b) {
  return where(condition, scalar_like(a, b), b);
}

// Operations whose last operands may be numbers.
#define XGRAD_WITH_NUMBER(op) \
  Tensor op(const Tensor& a, double b) { return op(a, scalar_like(b, a)); }
XGRAD_WITH_NUMBER(maximum)
XGRAD_WITH_NUMBER(minimum)
XGRAD_WITH_NUMBER(fmod)
XGRAD_WITH_NUMBER(remainder)
XGRAD_WITH_NUMBER(hypot)
XGRAD_WITH_NUMBER(xlogy)

Tensor clamp(const Tensor& x, double low, double high) {
  if (x.dtype() == int64) {
    // The infinite default bounds have no int64 value.
    constexpr double limit = 9007199254740992.0;
    low = std::max(low, -limit), high = std::min(high, limit);
  }
  return clamp(x, scalar_like(low, x), scalar_like(high, x));
}

#define XGRAD_OPERATOR(symbol, op)                                                       \
  Tensor operator symbol(const Tensor& a, const Tensor& b) { return op(a, b); }          \
  Tensor operator symbol(const Tensor& a, double b) { return op(a, scalar_like(b, a)); } \
  Tensor operator symbol(double a, const Tensor& b) { return op(scalar_like(a, b), b); }
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
  // A square is exact this way, and by far the most used power.
  return b == 2 ? square(a) : pow(a, scalar_like(b, a));
}
Tensor pow(double a, const Tensor& b) { return pow(scalar_like(a, b), b); }
Tensor xlogy(double a, const Tensor& b) { return xlogy(scalar_like(a, b), b); }
Tensor lerp(const Tensor& a, const Tensor& b, double weight) {
  return lerp(a, b, scalar_like(weight, a));
}
Tensor polygamma(std::int64_t n, const Tensor& x) {
  if (n < 0 || n > 170) fail("polygamma", "the order must be in [0, 170], got {}", n);
  internal::check_floating("polygamma", x);
  return polygamma(scalar_like(static_cast<double>(n), x), x);
}

}  // namespace autograd
