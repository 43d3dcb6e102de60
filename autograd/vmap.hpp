#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/structure_call.hpp"
#include "autograd/tape/vmap_error.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// Options of `vmap`.
struct VmapOptions {
  /// An axis, or std::nullopt.
  using Axes = std::vector<std::optional<std::int64_t>>;
  /// For each tensor of the arguments, in the order in which structures show them, its axis of
  /// samples; nullopt: the same for all samples. One entry is for all tensors.
  Axes in_axes{0};
  /// For each tensor of the result where its axis of samples goes; nullopt: nowhere, since it is
  /// the same for all samples. One entry is for all tensors.
  Axes out_axes{0};
};

namespace detail {

using ListFunction = std::function<TensorList(const TensorList&)>;
/// `looped`: gets the names of what was called for each sample.
TensorList vmap(const ListFunction& f, const TensorList& arguments, const VmapOptions& options,
                std::vector<std::string>& looped);

}  // namespace detail

/// A function for all samples: see `vmap`. Copyable; a call keeps nothing but `looped()`, so an object
/// is for one thread at a time.
template <class F>
class VmappedFunction {
 public:
  explicit VmappedFunction(F f, VmapOptions options = {})
      : f_(std::move(f)), options_(std::move(options)) {}

  /// Of tensors, and structures of them.
  template <detail::TensorArgument... T>
  requires std::invocable<const F&, detail::PassedAs<T>...>
  auto operator()(const T&... arguments) const {
    return detail::call_by_list_of(f_, caller(), arguments...);
  }
  /// For a function of a list.
  auto operator()(
      const TensorList& arguments) const requires std::invocable<const F&, const TensorList&> {
    return detail::call_by_list(f_, arguments, caller());
  }

  /// Names of operations and Functions that the last call ran for one sample after the other.
  const std::vector<std::string>& looped() const { return looped_; }

 private:
  auto caller() const {
    return [this](const auto& f, const TensorList& in) {
      return detail::vmap(f, in, options_, looped_);
    };
  }

  F f_;
  VmapOptions options_;
  mutable std::vector<std::string> looped_;
};

/// A function of one sample, made one of all samples: `vmap(f)(x)` is
/// `stack({f(x[0]), f(x[1]), …})`, but each operation is called once, with an axis of samples more:
///
///     const auto norms = ag::vmap([](const Tensor& v) { return sqrt(sum(v * v)); });
///     norms(x);                                      // (n, d) → (n)
///     ag::vmap(f, {.in_axes = {0, std::nullopt}})(x, w);  // w is the same for all samples
///
/// `f` takes tensors and structures of them (see `TensorStructure`) or one TensorList, and returns
/// one of these; it runs once, on tensors that have the shapes of a sample and no elements.
/// Gradients inside (`vmap(grad of f)`, by `grad()` with leaves inside or captured ones) and
/// outside, nested calls, and `compile` around it give what the loop gives, to rounding. Each
/// sample draws random numbers of its own, in another order than the loop.
///
/// An operation has a rule for its axis of samples, or else is called for one sample after the
/// other, as is a `Function`; `looped()` names those. Throws `VmapError` where a loop would do what
/// one call cannot: when `f` reads elements of a sample (item(), an `if` on a value), calls
/// backward() to leaves from outside, changes modules, or writes in place into tensors from outside
/// or where samples take part; `where`, `index_put` and `scatter` give what would have been written.
/// A sample that is kept is refused after the call.
template <class F>
VmappedFunction<std::decay_t<F>> vmap(F&& f, VmapOptions options = {}) {
  check_callable<std::decay_t<F>>("vmap", f);
  return VmappedFunction<std::decay_t<F>>(std::forward<F>(f), std::move(options));
}

}  // namespace autograd

#pragma GCC visibility pop
