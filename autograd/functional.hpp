#pragma once

#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/gradient.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// A function of one tensor.
using TensorFunction = std::function<Tensor(const Tensor&)>;

namespace detail {
/// Throws unless all tensors are defined and floating.
void check_arguments(std::string_view op, const TensorList& x);
/// Throws unless it is one floating element.
void check_value(std::string_view op, const Tensor& y);
}  // namespace detail

/// `value_and_grad(f)(x)` → pair {f(x), df/dx}; with several arguments {f(x, y, …), TensorList of
/// gradients}. f must return one element. The arguments themselves stay as they are.
template <class F>
auto value_and_grad(F f) {
  check_callable("value_and_grad", f);
  return [f = std::move(f)]<class... T>(const T&... x) {
    const EnableGrad recording;
    detail::check_arguments("value_and_grad", {x...});
    TensorList in{Tensor(x).detach().requires_grad_()...};
    const Tensor value = [&]<std::size_t... I>(std::index_sequence<I...>) { return f(in[I]...); }
    (std::index_sequence_for<T...>{});
    detail::check_value("value_and_grad", value);
    TensorList g = grad({value}, in);
    if constexpr (sizeof...(T) == 1)
      return std::pair<Tensor, Tensor>(value.detach(), g[0]);
    else
      return std::pair<Tensor, TensorList>(value.detach(), g);
  };
}

/// A function of several tensors.
using TensorsFunction = std::function<Tensor(const TensorList&)>;

/// The matrix of derivatives: shape f(x).shape() + x.shape(). Row by row, a backward walk for each
/// element of the output; or where x has far fewer elements than f(x), column by column, a `jvp`
/// for each of x. With create_graph the result is differentiable in x, which must then require a
/// gradient.
Tensor jacobian(const TensorFunction& f, const Tensor& x, bool create_graph = false);
/// Second derivatives of a function of one element: shape x.shape() + x.shape().
Tensor hessian(const TensorFunction& f, const Tensor& x);
/// Hessian times v (of the shape of x), without forming the Hessian: `jvp` of the gradient, and
/// recorded as that is.
Tensor hvp(const TensorFunction& f, const Tensor& x, const Tensor& v);
/// Jacobian times v (of the shape of x): the derivative of f along v, in the shape of f(x). Records
/// f and walks forward, with a tangent for each value; an operation that has no rule for tangents
/// has its gradient taken twice, and throws if that leaves the tape. Outside of NoGrad the result
/// is recorded where x, v or what f uses besides requires a gradient: to differentiate it again,
/// to any order, forward and reverse. Takes mostly 1 to 3 times as long as f alone (measured in
/// docs/debugging.md).
Tensor jvp(const TensorFunction& f, const Tensor& x, const Tensor& v);
/// vᵀ times Jacobian, for v of the shape of f(x): in the shape of x.
Tensor vjp(const TensorFunction& f, const Tensor& x, const Tensor& v);

/// The same for a function of several tensors, `f(const TensorList&)`: one Jacobian per input.
TensorList jacobian(const TensorsFunction& f, const TensorList& x, bool create_graph = false);
/// Block [i][j]: second derivatives by x[i] and x[j], of shape x[i].shape() + x[j].shape().
std::vector<TensorList> hessian(const TensorsFunction& f, const TensorList& x);
/// Hessian times v, one v per input; one result per input.
TensorList hvp(const TensorsFunction& f, const TensorList& x, const TensorList& v);
/// The derivative of f along v, one v per input.
Tensor jvp(const TensorsFunction& f, const TensorList& x, const TensorList& v);
/// vᵀ times each Jacobian.
TensorList vjp(const TensorsFunction& f, const TensorList& x, const Tensor& v);

}  // namespace autograd

#pragma GCC visibility pop
