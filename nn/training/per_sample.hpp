#pragma once

#include <functional>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
ag::TensorList per_sample_grads(
    const Module& model, const ag::Tensor& x, const ag::Tensor& y,
    const std::function<ag::Tensor(const ag::Tensor&, const ag::Tensor&)>& loss);
}

/// The gradient of every sample's own loss, `loss_fn(model(x), y)` of a batch of one: a tensor
/// (batch, *parameter.shape()) for each of `model.parameters()`, in their order; undefined for a
/// frozen one. Axis 0 of x and y is the batch. The gradients of the parameters stay as they are.
///
/// One pass for all samples (`ag::vmap`), in which each draws random numbers of its own; or where
/// the model or the loss reads elements or writes into buffers, a forward and a backward pass for
/// each. Holds the gradients of all. A layer that mixes samples sees batches of one: put it into
/// eval().
template <class M, class L>
ag::TensorList per_sample_grads(M& model, L&& loss_fn, const ag::Tensor& x, const ag::Tensor& y) {
  ag::check_callable("per_sample_grads", loss_fn);
  return detail::per_sample_grads(model, x, y, [&](const ag::Tensor& xi, const ag::Tensor& yi) {
    return loss_fn(model(xi), yi);
  });
}

}  // namespace nn

#pragma GCC visibility pop
