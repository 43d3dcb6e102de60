#pragma once

#include "autograd/ops/indexing/indexing.hpp"

/// Entries of an axis by their positions. Internal.
namespace autograd::internal {

/// The entries `positions` (int64, each in range) of one axis; repeated ones add up in the
/// gradient.
Tensor pick(const Tensor& x, std::int64_t axis, const Tensor& positions);
/// The elements of lines along one axis: `gather` by positions that are known to be in range.
Tensor pick_each(const Tensor& x, std::int64_t axis, const Tensor& positions);
/// The int64 indices as positions along an axis of `shape` (a 0-d shape has one position), checked.
Tensor positions(std::string_view op, const Tensor& index, const Shape& shape, std::int64_t axis,
                 const IndexOptions& options = {});

}  // namespace autograd::internal
