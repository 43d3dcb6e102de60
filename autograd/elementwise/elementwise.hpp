#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/elementwise/builtins.hpp"
#include "autograd/elementwise/listed.hpp"
#include "autograd/formulas/traced.hpp"
#include "autograd/tape/operation.hpp"

#pragma GCC visibility push(default)

namespace autograd {

namespace detail {

/// Fills the values of a formula of one operand and its derivatives, in one pass over n elements.
/// False, with nothing done, where two passes are as quick.
using SlopeRun = bool (*)(const void* x, void* value, void* slope, std::int64_t n);

/// What the engine knows of one elementwise operation. Kernels by dtype: float32, float64, int64;
/// null where the operation does not take it.
struct ElementwiseInfo {
  std::string name;
  std::size_t arity = 0;
  std::array<ElementwiseRun, 3> value{};
  /// For each input, from (g, inputs…, result) to the contribution to its gradient.
  std::vector<std::array<ElementwiseRun, 2>> gradient;
  /// From the tangents of all inputs, inputs and result to that of the result; may be null.
  std::array<ElementwiseRun, 2> tangent{};
  unsigned saves = 0;
  unsigned passes = 0;  ///< bit i: the gradient of input i is g itself
  unsigned blocks = 0;  ///< bit i: the gradient of input i is 0
  const void* formula = nullptr;
  std::array<SlopeRun, 2> slope{};  ///< by floating dtype; null: none
  /// The gradients, recorded.
  TensorList (*higher)(const ElementwiseInfo& info, const Call& call) = nullptr;
};

/// The one operation behind all elementwise ones.
struct Elementwise {
  static constexpr bool kBroadcasts = true;
  const ElementwiseInfo* info;
  std::shared_ptr<const void> owner{};  // keeps a user's formula alive
  XGRAD_ATTRIBUTES(info, owner)

  std::string_view name() const { return info->name; }
  unsigned saves() const { return info->saves; }
  TensorSpec infer(const Inputs& in) const;
  Tensor make(const Inputs& in) const;  // what `infer` says, not filled
  void forward(const Inputs& in, Tensor& out) const;
  Pass pass(const Inputs& in, const Tensor& out) const;
  TensorList batch(const internal::Batch& in) const;
  TensorList backward(const Call& call) const;
  static Jacobian jacobian() { return Jacobian::diagonal; }
  TensorList jvp(const Call& call) const;  // of several tangents, in one pass off the tape
};

}  // namespace detail

/// `apply` for all of them, compiled once: what small operations need of it is in one function.
Tensor apply(const detail::Elementwise& op, const Inputs& in);

namespace detail {

template <class F>
struct UserFormula {
  F f;
  ElementwiseInfo info;

  template <class V, std::size_t... I>
  static constexpr bool takes(std::index_sequence<I...>) {
    return std::is_invocable_v<const F&, decltype((void(I), std::declval<V>()))...>;
  }
  template <std::size_t N = 1>
  static constexpr std::size_t find_arity() {
    if constexpr (N > 8)
      return 0;
    else if constexpr (takes<simd::Vec<float>>(std::make_index_sequence<N>{}))
      return N;
    else
      return find_arity<N + 1>();
  }
  static constexpr std::size_t arity = find_arity();
  static_assert(arity > 0,
                "elementwise: the formula must be callable with 1 to 8 values of any type with "
                "arithmetic: a generic lambda such as [](auto x) { return x * x; }");

  // Without captures the type says all, so that what the formula does can be listed once.
  static constexpr bool kListed =
      std::is_empty_v<F> && std::is_default_constructible_v<F> && !XGRAD_FAST_MATH;
  template <class T>
  static std::uint32_t list_value(const std::uint32_t* x) {
    using V = simd::Traced<T>;
    return [&]<std::size_t... K>(std::index_sequence<K...>) { return V(F{}(V::of(x[K])...)).id; }
    (std::make_index_sequence<arity>{});
  }
  template <class T, std::size_t I>
  static std::uint32_t list_gradient(const std::uint32_t* x) {
    using V = simd::Traced<T>;
    using D = simd::Dual<V>;
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
      const D y = F{}(D{V::of(x[K + 1]), V(K == I ? 1 : 0)}...);
      return (V::of(x[0]) * y.d).id;
    }
    (std::make_index_sequence<arity>{});
  }

  template <class T>
  static std::uint32_t list_slope(const std::uint32_t* x) {
    using V = simd::Traced<T>;
    return simd::Dual<V>(F{}(simd::Dual<V>{V::of(*x), V(1)})).d.id;
  }
  template <class T>
  static bool run_slope(const void* x, void* value, void* slope, std::int64_t n) {
    static const auto& listed =
        *new ListedFormula(list_value<T>, 1, sizeof(T) == sizeof(double), list_slope<T>);
    const std::int64_t step = 1;
    return listed.run(&x, &step, value, n, slope);
  }

  template <class T>
  static void run_value(const void* f, const void* const* in, const std::int64_t* step, void* out,
                        std::int64_t n) {
    using V = simd::Vec<T>;
    if constexpr (kListed) {
      static const auto& listed =
          *new ListedFormula(list_value<T>, int{arity}, sizeof(T) == sizeof(double));
      if (listed.run(in, step, out, n)) return;
    }
    simd::run_elementwise<T, int{arity}>(
        [](const void* formula, const auto&... x) -> V {
          return (*static_cast<const F*>(formula))(x...);
        },
        f, in, step, out, n);
  }
  // Dual numbers whose derivative part is 1 for input I.
  template <class T, std::size_t I>
  static void run_gradient(const void* f, const void* const* in, const std::int64_t* step,
                           void* out, std::int64_t n) {
    using V = simd::Vec<T>;
    using D = simd::Dual<V>;
    if constexpr (kListed) {
      static const auto& listed =
          *new ListedFormula(list_gradient<T, I>, int{arity} + 1, sizeof(T) == sizeof(double));
      if (listed.run(in, step, out, n)) return;
    }
    simd::run_elementwise<T, int{arity} + 1>(
        [](const void* formula, const V& g, const auto&... x) {
          const V values[] = {x...};
          return [&]<std::size_t... K>(std::index_sequence<K...>) {
            const D y = (*static_cast<const F*>(formula))(D{values[K], V(K == I ? 1 : 0)}...);
            return g * y.d;
          }
          (std::make_index_sequence<arity>{});
        },
        f, in, step, out, n);
  }
  static TensorList higher(const ElementwiseInfo& info, const Call& call) {
    const auto& formula = *static_cast<const F*>(info.formula);
    return reference_gradient(call, [&](const TensorList& x) {
      return [&]<std::size_t... K>(std::index_sequence<K...>)->Tensor { return formula(x[K]...); }
      (std::make_index_sequence<arity>{});
    });
  }

  UserFormula(std::string name, F formula) : f(std::move(formula)) {
    info.name = std::move(name);
    info.arity = arity;
    info.value = {run_value<float>, run_value<double>, nullptr};
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (info.gradient.push_back({run_gradient<float, I>, run_gradient<double, I>}), ...);
    }
    (std::make_index_sequence<arity>{});
    info.saves = (1u << arity) - 1;
    info.formula = &f;
    if constexpr (kListed && arity == 1) info.slope = {run_slope<float>, run_slope<double>};
    info.higher = higher;
  }
};

}  // namespace detail

/// An elementwise operation of the user's: see `elementwise`. Copies share the formula; threads may
/// call it at once.
template <class F>
class ElementwiseFunction {
 public:
  ElementwiseFunction(std::string name, F formula)
      : state_(
            std::make_shared<const detail::UserFormula<F>>(std::move(name), std::move(formula))) {}

  /// The formula applied element by element to tensors of one floating dtype that broadcast.
  template <std::derived_from<Tensor>... T>
  requires(sizeof...(T) == detail::UserFormula<F>::arity) Tensor operator()(const T&... x) const {
    return apply(detail::Elementwise{&state_->info, state_}, x...);
  }

 private:
  std::shared_ptr<const detail::UserFormula<F>> state_;
};

/// Makes an operation of 1 to 8 tensors from one generic formula, such as
/// `elementwise("mish", [](auto x) { using std::exp, std::log, std::tanh; return x * tanh(log(1 +
/// exp(x))); })`. It runs as one pass over SIMD registers; so do its derivatives, which come from
/// the same formula on dual numbers; higher orders run it on tensors. Usable inside: + - * /,
/// comparisons, which `& | ~` join, `where(c, a, b)`, and every operation of docs/op_table.md by
/// its unqualified name, with all its operands: `elu(x, 1)`. No `if` on values. A formula without
/// captures is recorded at its first use, where all that it calls can be (docs/adding_an_op.md),
/// and then runs on registers as wide as the CPU has; what it reads besides its operands counts as
/// it was then. Any other runs on those that the program is compiled for. Where that saves more than
/// it costs, one of one operand computes its derivative along with the value, and keeps it.
template <class F>
ElementwiseFunction<F> elementwise(std::string name, F formula) {
  return {std::move(name), std::move(formula)};
}

}  // namespace autograd

#pragma GCC visibility pop
