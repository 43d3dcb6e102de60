#pragma once

#include <cstdint>

#include "autograd/ops/reductions/counts.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// The slices of x along `axis` that differ, in ascending order of their elements, the first of them
/// first; the place of each slice of x among them, and how often each stands in x (both int64, 1-d):
/// rows of a matrix for axis 0. For every dtype; no gradient. A slice with NaN is one of its own,
/// NaN is the last; of slices that differ in the sign of 0 alone the first in x stays. Throws
/// unless x has that axis.
UniqueElements unique(const Tensor& x, std::int64_t axis);

}  // namespace autograd

#pragma GCC visibility pop
