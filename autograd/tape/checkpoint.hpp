#pragma once

#include <type_traits>
#include <utility>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace autograd {

namespace detail {
TensorList checkpoint(std::function<TensorList(const TensorList&)> f, const TensorList& inputs);
}

/// `f(inputs…)`, which saves the inputs only: the backward walk runs f again for what its gradients
/// need. Trades a second forward pass for memory. f returns a Tensor or a TensorList.
///
/// Gradients, of any order, are those of f, also of tensors that it captures (the parameters of a
/// model). Random numbers of this thread's default generator are the same in both runs; f must not
/// depend on anything else that changes, and what it does on the side it does twice; but running
/// statistics, as of `batch_norm`, are updated once.
///
///     h = ag::checkpoint([&](const ag::Tensor& t) { return block(t); }, h);
template <class F, std::convertible_to<Tensor>... T>
auto checkpoint(F f, const T&... inputs) {
  static_assert(
      !requires { f.parameters(); },
      "checkpoint would copy the model: pass a lambda that calls it");
  using Result = decltype(f(static_cast<const Tensor&>(inputs)...));
  constexpr bool single = std::is_convertible_v<Result, Tensor>;
  check_callable("checkpoint", f);
  TensorList out = detail::checkpoint(
      [f = std::move(f)](const TensorList& in) mutable -> TensorList {
        return [&]<std::size_t... I>(std::index_sequence<I...>)->TensorList {
          if constexpr (single)
            return {f(in[I]...)};
          else
            return f(in[I]...);
        }
        (std::index_sequence_for<T...>{});
      },
      {inputs...});
  if constexpr (single)
    return Tensor(out[0]);
  else
    return out;
}

}  // namespace autograd

#pragma GCC visibility pop
