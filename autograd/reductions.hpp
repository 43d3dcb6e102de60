#pragma once

#include <cstdint>

#include "autograd/tape.hpp"

/// Operations that combine the elements along axes.
namespace autograd {

// Over the given axes, or over all. With keepdims a reduced axis stays, with size 1.

/// Sum; 0 when empty. float32 is added in blocks with a double total. Also for int64 and bool, as
/// int64.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Mean; NaN when empty.
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Largest value, NaN if any is NaN; equal largest values share the gradient evenly. Throws when
/// empty. Also for int64.
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Smallest value, with the same conventions.
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Variance with divisor n - correction (1: the unbiased estimate, PyTorch's default; 0: NumPy's).
Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdims = false, double correction = 1);
/// log(sum(exp(x))), without overflow; -inf when empty or all -inf.
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Position of the first largest value (a NaN counts as largest) along one axis, as int64. No
/// gradient.
Tensor argmax(const Tensor& x, std::int64_t axis = -1, bool keepdims = false);

}  // namespace autograd
