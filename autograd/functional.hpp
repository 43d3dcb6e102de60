#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include "autograd/tape.hpp"

namespace autograd {

/// A function of one tensor.
using TensorFunction = std::function<Tensor(const Tensor&)>;

/// `value_and_grad(f)(x)` → pair {f(x), df/dx}; with several arguments {f(x, y, …), TensorList of
/// gradients}. f must return one element. The arguments themselves stay as they are.
template <class F>
auto value_and_grad(F f) {
  return [f = std::move(f)]<class... T>(const T&... x) {
    const EnableGrad recording;
    TensorList in{Tensor(x).detach().requires_grad_()...};
    const Tensor value = [&]<std::size_t... I>(std::index_sequence<I...>) { return f(in[I]...); }
    (std::index_sequence_for<T...>{});
    TensorList g = grad({value}, in);
    if constexpr (sizeof...(T) == 1)
      return std::pair<Tensor, Tensor>(value.detach(), g[0]);
    else
      return std::pair<Tensor, TensorList>(value.detach(), g);
  };
}

/// The matrix of derivatives: shape f(x).shape() + x.shape(). One backward walk per output element.
/// With create_graph the result is differentiable in x, which must then require a gradient.
Tensor jacobian(const TensorFunction& f, const Tensor& x, bool create_graph = false);
/// Second derivatives of a function of one element: shape x.shape() + x.shape().
Tensor hessian(const TensorFunction& f, const Tensor& x);
/// Hessian times v (of the shape of x), without forming the Hessian.
Tensor hvp(const TensorFunction& f, const Tensor& x, const Tensor& v);
/// Jacobian times v (of the shape of x): the derivative of f along v, in the shape of f(x).
Tensor jvp(const TensorFunction& f, const Tensor& x, const Tensor& v);
/// vᵀ times Jacobian, for v of the shape of f(x): in the shape of x.
Tensor vjp(const TensorFunction& f, const Tensor& x, const Tensor& v);

}  // namespace autograd
