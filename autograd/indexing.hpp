#pragma once

#include <cstdint>
#include <limits>

#include "autograd/tape.hpp"

/// Operations that pick elements. For every dtype. A negative index counts from the end; one out of
/// range throws.
namespace autograd {

/// `length` entries of one axis from `start`.
Tensor narrow(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t length);
/// Entries start, start + step, … before stop of one axis, with Python's rules (clipped, negative
/// from the end); step may be negative, not 0.
Tensor slice(const Tensor& x, std::int64_t axis, std::int64_t start,
             std::int64_t stop = std::numeric_limits<std::int64_t>::max(), std::int64_t step = 1);
/// One entry of one axis; the axis goes.
Tensor select(const Tensor& x, std::int64_t axis, std::int64_t index);
/// The entries `index` (int64, 1-d) of one axis, in that order; repeated ones add up in the
/// gradient.
Tensor index_select(const Tensor& x, std::int64_t axis, const Tensor& index);
/// out[i][j] = x[index[i][j]][j] for axis 0, and so on (as PyTorch): index is int64, of the rank of
/// x, and no larger than x on the other axes.
Tensor gather(const Tensor& x, std::int64_t axis, const Tensor& index);
/// Zeros of `shape` plus `source` added at `index` of one axis: the transpose of `gather`.
Tensor scatter_add_zeros(const Shape& shape, std::int64_t axis, const Tensor& index,
                         const Tensor& source);

}  // namespace autograd
