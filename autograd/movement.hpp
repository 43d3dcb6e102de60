#pragma once

#include <cstdint>

#include "autograd/tape.hpp"

/// Operations that move elements or give them another shape. For every dtype.
namespace autograd {

/// The same elements in another shape; one size may be -1. Shares storage.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Axes start…end (inclusive) as one. A 0-d tensor becomes (1,).
Tensor flatten(const Tensor& x, std::int64_t start = 0, std::int64_t end = -1);
/// Without the axes of size 1: all of them, or the given ones (those of another size stay).
Tensor squeeze(const Tensor& x, const Axes& axes = {});
/// With a new axis of size 1 at `axis`, in [-ndim - 1, ndim].
Tensor unsqueeze(const Tensor& x, std::int64_t axis);
/// Axis i of the result is axis order[i] of x. A copy.
Tensor permute(const Tensor& x, const Axes& order);
/// Two axes swapped; without arguments the last two. A copy.
Tensor transpose(const Tensor& x, std::int64_t axis0 = -2, std::int64_t axis1 = -1);
/// Broadcast to `shape`; -1 keeps a size. A copy.
Tensor expand(const Tensor& x, const Shape& shape);
/// Summed down to `shape`, which must broadcast to the shape of x: the transpose of `expand`.
Tensor sum_to(const Tensor& x, const Shape& shape);
/// Joined along an existing axis; the other sizes must agree.
Tensor concat(const TensorList& tensors, std::int64_t axis = 0);
/// Joined along a new axis; all shapes must agree.
Tensor stack(const TensorList& tensors, std::int64_t axis = 0);

}  // namespace autograd
