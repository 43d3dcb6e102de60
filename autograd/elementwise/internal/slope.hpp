#pragma once

#include "autograd/elementwise/elementwise.hpp"

/// Operations of one operand that compute their derivatives along with their values, and keep them.
namespace autograd::internal {

/// Whether a call is recorded, large enough, and of a formula for which that is quicker.
bool keeps_slope(const detail::ElementwiseInfo& info, const Inputs& in);
/// The call, recorded. Values and gradients have the bits of those that are computed in two passes.
Tensor apply_with_slope(const detail::Elementwise& op, const Tensor& x);

}  // namespace autograd::internal
