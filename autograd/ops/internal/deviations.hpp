#pragma once

#include "autograd/tape/operation.hpp"

/// Sums of squares that do not leave the range of the dtype on the way. Internal.
namespace autograd::internal {

/// √(Σ x² / divisor). Where it is 0, so is the gradient, to any order.
Tensor root_of_squares(std::string_view op, const Tensor& x, const Axes& axes, bool keepdims,
                       double divisor);

}  // namespace autograd::internal
