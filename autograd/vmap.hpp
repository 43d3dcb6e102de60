#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/structure.hpp"
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
  template <class T>
  static constexpr bool is_tensor = std::is_convertible_v<const T&, Tensor>;
  template <class T>
  using As = std::conditional_t<is_tensor<T>, const Tensor&, T>;

 public:
  explicit VmappedFunction(F f, VmapOptions options = {})
      : f_(std::move(f)), options_(std::move(options)) {}

  /// Of tensors, and structures of them.
  template <class... T>
  requires((is_tensor<T> || TensorStructure<T>)&&...) &&
      std::invocable<const F&, As<T>...> auto operator()(const T&... arguments) const {
    TensorList list;
    (append(list, arguments), ...);
    return call(list, [&](const TensorList& in) -> decltype(auto) {
      std::size_t next = 0;
      std::tuple<As<T>...> same{taken(arguments, in, next)...};  // braces go from left to right
      return std::apply(f_, std::move(same));
    });
  }
  /// For a function of a list.
  auto operator()(
      const TensorList& arguments) const requires std::invocable<const F&, const TensorList&> {
    return call(arguments, [this](const TensorList& in) -> decltype(auto) { return f_(in); });
  }

  /// Names of operations and Functions that the last call ran for one sample after the other.
  const std::vector<std::string>& looped() const { return looped_; }

 private:
  template <class F2>
  auto call(const TensorList& arguments, const F2& f) const {
    using Result = std::remove_cvref_t<decltype(f(arguments))>;
    static_assert(std::is_convertible_v<Result, TensorList> ||
                      std::is_convertible_v<Result, Tensor> || TensorStructure<Result>,
                  "vmap: the function must return a tensor, a structure of tensors or a "
                  "TensorList");
    const auto listed = [&f](const TensorList& in) -> TensorList {
      if constexpr (std::is_convertible_v<Result, Tensor>) {
        return {Tensor(f(in))};
      } else if constexpr (TensorStructure<Result>) {
        TensorList list;
        append(list, f(in));
        return list;
      } else {
        return f(in);
      }
    };
    TensorList out = detail::vmap(listed, arguments, options_, looped_);
    if constexpr (std::is_convertible_v<Result, Tensor>) {
      return Tensor(std::move(out[0]));
    } else if constexpr (TensorStructure<Result>) {
      Result result{};
      std::size_t next = 0;
      detail::for_each_tensor(result, [&](Tensor& t) { t = std::move(out[next++]); });
      return result;
    } else {
      return out;
    }
  }

  template <class T>
  static void append(TensorList& list, const T& value) {
    if constexpr (is_tensor<T>)
      list.push_back(value);
    else
      detail::for_each_tensor(value, [&](const Tensor& t) { list.push_back(t); });
  }
  // The argument with the next tensors of `in`.
  template <class T>
  static As<T> taken(const T& argument, const TensorList& in, std::size_t& next) {
    if constexpr (is_tensor<T>) {
      return in[next++];
    } else {
      T same = argument;
      detail::for_each_tensor(same, [&](Tensor& t) { t = in[next++]; });
      return same;
    }
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
/// backward() to leaves from outside, writes into tensors from outside, or changes modules.
template <class F>
VmappedFunction<std::decay_t<F>> vmap(F&& f, VmapOptions options = {}) {
  check_callable<std::decay_t<F>>("vmap", f);
  return VmappedFunction<std::decay_t<F>>(std::forward<F>(f), std::move(options));
}

}  // namespace autograd

#pragma GCC visibility pop
