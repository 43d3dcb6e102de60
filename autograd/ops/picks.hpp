#pragma once

#include <memory>

#include "autograd/tensor.hpp"

/// Entries of an axis by their positions. Internal.
namespace autograd::internal {

using PositionList = detail::PooledVector<std::int64_t>;
using Positions = std::shared_ptr<const PositionList>;

/// The entries `index`, each in range, of one axis; repeated ones add up in the gradient.
Tensor pick(const Tensor& x, std::int64_t axis, PositionList index);
/// The indices as positions along an axis of `shape` (a 0-d shape has one position), checked.
PositionList positions(std::string_view op, const Tensor& index, const Shape& shape,
                       std::int64_t axis);

}  // namespace autograd::internal
