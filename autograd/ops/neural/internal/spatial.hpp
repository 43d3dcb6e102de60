#pragma once

#include <array>
#include <string_view>

#include "autograd/core/tensor.hpp"
#include "autograd/kernels/convolution.hpp"
#include "autograd/ops/movement/movement.hpp"

/// What operations on one to three spatial axes share.
namespace autograd::internal {

/// No number of an option may be larger: sums of products with sizes then fit in 63 bits.
constexpr std::int64_t kLargestOption = std::int64_t{1} << 31;

/// The option's number for each of `axes` axes, behind ones (or `fill`): one number serves all.
/// Throws unless all are in [least, 2^31].
kernels::Extents per_axis(std::string_view op, std::string_view option, const Integers& numbers,
                          int axes, std::int64_t least, std::int64_t fill = 1);

/// The sizes of the last `axes` axes, behind ones.
kernels::Extents spatial_sizes(const Shape& shape, int axes);

/// x with a batch axis, as a view; `unbatched` says whether it was added. Throws unless x has
/// `axes` + 1 or `axes` + 2 axes.
Tensor with_batch(std::string_view op, const Tensor& x, int axes, bool& unbatched);

}  // namespace autograd::internal
