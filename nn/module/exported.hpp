#pragma once

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/recording.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

/// Modules and functions as exporters take them. Internal.
namespace nn::detail {

struct ExportedModel {
  ag::Recording::Function forward;
  Module* module = nullptr;  // to be switched to eval()
  StateDict state{};
  std::optional<std::vector<NamedTensor>> buffers{};  // of a module
};

template <class R>
ag::TensorList listed(R&& result) {
  using Result = std::remove_cvref_t<R>;
  if constexpr (std::convertible_to<Result, ag::Tensor>) {
    return {ag::Tensor(std::forward<R>(result))};
  } else if constexpr (std::convertible_to<Result, ag::TensorList>) {
    return std::forward<R>(result);
  } else {
    static_assert(ShowsTensors<Result>,
                  "export: the function must return a tensor, a structure of tensors or a "
                  "TensorList");
    ag::TensorList list;
    Result copy(std::forward<R>(result));
    each_tensor(copy, [&](const ag::Tensor& t) {
      if (t.defined()) list.push_back(t);
    });
    return list;
  }
}

template <std::size_t>
using OneTensor = const ag::Tensor&;

template <class F, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  if constexpr (std::derived_from<std::remove_const_t<F>, Module>)
    return requires(F & f, OneTensor<I>... x) { f.forward(x...); };
  else
    return std::is_invocable_v<F&, OneTensor<I>...>;
}

template <class F, std::size_t N = 1>
ag::TensorList forward_of(F& f, const ag::TensorList& in, std::string_view op = "export") {
  if constexpr (N > 8) {
    ag::fail(op, "the model must take as many tensors as there are examples, got {}", in.size());
  } else {
    if constexpr (takes<F>(std::make_index_sequence<N>{}))
      if (in.size() == N) return [&]<std::size_t... I>(std::index_sequence<I...>) {
          return listed(f(in[I]...));
        }
    (std::make_index_sequence<N>{});
    return forward_of<F, N + 1>(f, in, op);
  }
}

/// `f`, which must outlive it, for an exporter of that name; `state` names the tensors that a
/// function uses.
template <class F>
ExportedModel exported(std::string_view op, F& f, const StateDict& state) {
  ExportedModel model;
  if constexpr (std::derived_from<std::remove_const_t<F>, Module>) {
    model.forward = [op, &f](const ag::TensorList& in) {
      (void)op;  // where f takes a list
      if constexpr (requires { f.forward(in); })
        return listed(f(in));
      else
        return forward_of(f, in, op);
    };
    model.state = f.state_dict();
    model.buffers = f.named_buffers();
    if constexpr (!std::is_const_v<F>) model.module = &f;
  } else {
    model.forward = [op, &f](const ag::TensorList& in) {
      (void)op;
      if constexpr (std::is_invocable_v<F&, const ag::TensorList&>)
        return listed(f(in));
      else
        return forward_of(f, in, op);
    };
    model.state = state;
  }
  return model;
}

}  // namespace nn::detail

#pragma GCC visibility pop
