#pragma once

#include "autograd/ops/ops.hpp"

/// The end of a normalisation: z · weight + bias. Internal.
namespace autograd::internal {

/// The tangent of z · weight + bias, of `shape`, from that of z times the weight, and from those of
/// weight and bias; undefined: zero. z() is called where it is needed.
template <class Z>
Tensor affine_tangent(Tensor of_z, Z&& z, const Tensor& of_weight, const Tensor& of_bias,
                      const Shape& shape) {
  const auto add = [&](const Tensor& more) { of_z = of_z.defined() ? of_z + more : more; };
  if (of_weight.defined()) add(z() * of_weight);
  if (of_bias.defined()) add(of_bias);
  return of_z.shape() == shape ? of_z : expand(of_z, shape);
}

}  // namespace autograd::internal
