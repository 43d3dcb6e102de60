#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "autograd/core/structure_call.hpp"

#pragma GCC visibility push(default)

/// Loops and branches that are operations: what they run is recorded once and replayed.
namespace autograd {

/// Options of `scan`.
struct ScanOptions {
  std::optional<std::int64_t> length{};  ///< steps; may be left out where there are xs
  bool reverse = false;                  ///< from the last entry of xs to the first
  /// For the gradient the carry of each `save_every`-th step is kept, and those between are
  /// computed again; at least 1. About the root of the number of steps needs the least memory.
  std::int64_t save_every = 1;
};

/// Options of `while_loop`.
struct WhileOptions {
  std::optional<std::int64_t> max_steps{};  ///< no more than that; what a gradient needs
};

namespace detail {

using LoopFunction = std::function<TensorList(const TensorList&)>;
TensorList scan(LoopFunction f, const TensorList& init, const TensorList& xs,
                const ScanOptions& options);
TensorList while_loop(LoopFunction condition, LoopFunction f, const TensorList& init,
                      const WhileOptions& options);
TensorList cond(const Tensor& condition, LoopFunction f, LoopFunction g,
                const TensorList& arguments);

/// What a loop may carry: a structure, or as many tensors as there are at the start.
template <class T>
concept LoopValue = TensorStructure<T> || std::same_as<T, TensorList>;

// What a step returns: the next carry, or {the next carry, y}.
template <class R, class C>
struct LoopStep {
  static constexpr bool has_y = false;
  static_assert(std::same_as<StructureOf<R>, C>,
                "the function must return the next carry, or a pair of it and y");
  static TensorList list(const C& carry) { return tensors_of(carry); }
};
template <class A, class Y, class C>
requires(!std::same_as<std::pair<A, Y>, C>) struct LoopStep<std::pair<A, Y>, C> {
  static constexpr bool has_y = true;
  using Ys = StructureOf<Y>;
  static_assert(std::same_as<StructureOf<A>, C> && LoopValue<Ys>,
                "the function must return the next carry, or a pair of it and y");
  static TensorList list(const std::pair<A, Y>& step) {
    TensorList list = tensors_of(step.first);
    append_tensors(list, step.second);
    return list;
  }
};

// The carry in the end; with what the steps returned besides, if they did.
template <class Step, class C>
auto loop_result(const C& init, const TensorList& out) {
  std::size_t next = 0;
  C carry = with_tensors(init, out, next);
  if constexpr (Step::has_y)
    return std::pair<C, typename Step::Ys>(std::move(carry),
                                           of_the_rest<typename Step::Ys>(out, next));
  else
    return carry;
}

}  // namespace detail

/// `for (i = 0, 1, …) {carry, y[i]} = f(carry, xs[i])` as one operation, to the same bits: returns
/// {carry, ys}, where `ys` has the y of all steps along a new first axis; only the carry where f
/// returns no y.
///
///     const auto [h, hs] = ag::scan([&](const ag::Tensor& h, const ag::Tensor& x) {
///       const ag::Tensor next = ag::tanh(ag::matmul(x, w) + ag::matmul(h, u));
///       return std::pair(next, next);
///     }, h0, xs);
///
/// Carry, x and y are tensors or structures of them (see `TensorStructure`), carry and y also
/// TensorLists; xs are cut along their first axis. Each tensor of the carry keeps its shape and
/// dtype, else this throws. f is recorded once, on the first entries (zeros if there are none), and
/// replayed for all steps, as `compile` does: it throws for the same reasons, and where f reads
/// elements of what it is given, or writes into tensors from outside. Inside `compile` the whole
/// scan is one recorded step.
///
/// Gradients, of any order, are those of the loop, also of tensors that f captures; what is a sum
/// over steps is added up from the last one. `create_graph`, `hessian`, `hvp`, `jvp` and their kin
/// call f again in their walk, when the function that called `scan` may have returned: there f must
/// capture that one's locals by value, or the walk reads dead ones. Random tensors are new in each
/// step and the same in both directions. Memory: carries and draws of all steps (`save_every`). In
/// anomaly mode it is a plain loop, in a function of `vmap` one step is taken for all samples.
template <class F, class Carry, class X>
auto scan(F f, const Carry& init, const X& xs, const ScanOptions& options = {}) {
  using C = detail::StructureOf<Carry>;
  using In = detail::StructureOf<X>;
  static_assert(detail::LoopValue<C> && detail::LoopValue<In>,
                "scan: the carry and xs must be tensors or structures of them");
  check_callable("scan", f);
  const C first = init;
  const In all = xs;
  using Step =
      detail::LoopStep<std::remove_cvref_t<std::invoke_result_t<F&, const C&, const In&>>, C>;
  const TensorList out = detail::scan(
      [f = std::move(f), c = detail::blank(first),
       x = detail::blank(all)](const TensorList& in) mutable {
        std::size_t next = 0;
        const C carry = detail::with_tensors(c, in, next);
        return Step::list(f(carry, detail::with_tensors(x, in, next)));
      },
      detail::tensors_of(first), detail::tensors_of(all), options);
  return detail::loop_result<Step>(first, out);
}
/// The same without xs: `options.length` steps of f(carry).
template <class F, class Carry>
auto scan(F f, const Carry& init, const ScanOptions& options) {
  using C = detail::StructureOf<Carry>;
  static_assert(detail::LoopValue<C>, "scan: the carry must be a tensor or a structure of tensors");
  check_callable("scan", f);
  const C first = init;
  using Step = detail::LoopStep<std::remove_cvref_t<std::invoke_result_t<F&, const C&>>, C>;
  const TensorList out = detail::scan(
      [f = std::move(f), c = detail::blank(first)](const TensorList& in) mutable {
        std::size_t next = 0;
        return Step::list(f(detail::with_tensors(c, in, next)));
      },
      detail::tensors_of(first), {}, options);
  return detail::loop_result<Step>(first, out);
}

/// `while (condition(carry)) carry = f(carry)` as one operation: returns the carry in the end. The
/// condition returns one bool and draws no random numbers. Both functions are recorded once, as
/// that of `scan` is, and as there the carry keeps its shapes and dtypes.
///
///     const ag::Tensor root = ag::while_loop([&](const ag::Tensor& x) {
///       return ag::abs(x * x - a) > 1e-12; }, [&](const ag::Tensor& x) {
///       return (x + a / x) / 2; }, ag::ones({}, ag::float64));
///
/// A gradient walks back through the steps, whose number depends on elements. So it needs
/// `max_steps`, for which carries have room, and throws without; with it, a loop that would take
/// more steps throws.
///
/// In a function of `vmap` the loop goes on until the condition is false for all samples; those for
/// which it is false stay as they are, but f is computed for them: where it gives infinity or NaN,
/// their gradients are NaN.
template <class P, class F, class Carry>
auto while_loop(P condition, F f, const Carry& init, const WhileOptions& options = {}) {
  using C = detail::StructureOf<Carry>;
  static_assert(detail::LoopValue<C>,
                "while_loop: the carry must be a tensor or a structure of tensors");
  check_callable("while_loop", condition);
  check_callable("while_loop", f);
  const C first = init;
  using Step = detail::LoopStep<std::remove_cvref_t<std::invoke_result_t<F&, const C&>>, C>;
  static_assert(!Step::has_y, "while_loop: the function must return the next carry");
  const auto carry_of = [c = detail::blank(first)](const TensorList& in) {
    std::size_t next = 0;
    return detail::with_tensors(c, in, next);
  };
  const TensorList out = detail::while_loop(
      [condition = std::move(condition), carry_of](const TensorList& in) mutable {
        return TensorList{Tensor(condition(carry_of(in)))};
      },
      [f = std::move(f), carry_of](const TensorList& in) mutable {
        return Step::list(f(carry_of(in)));
      },
      detail::tensors_of(first), options);
  return detail::loop_result<Step>(first, out);
}

/// `condition ? f(arguments…) : g(arguments…)`, of which only the chosen one runs. `condition` is
/// one bool. Both return values of one type: a tensor, a structure or a TensorList.
///
/// Outside of recordings this is a plain call. In `compile` and in the function of a loop both are
/// recorded, as that of `scan` is; their results must have the same shapes and dtypes, and the
/// choice is made in each replay. In a function of `vmap` both run if samples differ, and the
/// results are chosen as by `where`.
template <class F, class G, class... T>
auto cond(const Tensor& condition, F f, G g, const T&... arguments) {
  using R = detail::StructureOf<
      std::remove_cvref_t<std::invoke_result_t<F&, const detail::StructureOf<T>&...>>>;
  static_assert(detail::LoopValue<R> && (detail::LoopValue<detail::StructureOf<T>> && ...),
                "cond: arguments and results must be tensors or structures of them");
  check_callable("cond", f);
  check_callable("cond", g);
  const auto listed = [&](auto function) {
    return [function = std::move(function),
            blanks = std::tuple(detail::blank(detail::StructureOf<T>(arguments))...)](
               const TensorList& in) mutable {
      [[maybe_unused]] std::size_t next = 0;
      return std::apply(
          [&](const auto&... blank) {
            // Braces go from left to right.
            const std::tuple same{detail::with_tensors(blank, in, next)...};
            return detail::tensors_of<R>(std::apply(function, same));
          },
          blanks);
    };
  };
  TensorList in;
  (detail::append_tensors(in, arguments), ...);
  return detail::of_the_rest<R>(
      detail::cond(condition, listed(std::move(f)), listed(std::move(g)), in), 0);
}

}  // namespace autograd

#pragma GCC visibility pop
