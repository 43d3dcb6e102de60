#pragma once

#include <cstdint>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Closeness, statistics without NaN, polynomials.
namespace autograd {

/// Where |a - b| ≤ atol + rtol |b|, or a = b (so infinities are close to themselves); with
/// equal_nan also where both are NaN. Bool, broadcast, for every dtype; no gradient.
Tensor isclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
               bool equal_nan = false);
/// Whether `isclose` holds everywhere.
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
              bool equal_nan = false);

/// `var` of the elements that are not NaN, over the axes or all: their number counts, and the
/// others get gradient 0. NaN where no more than `correction` of them are left.
Tensor nanvar(const Tensor& x, const Axes& axes = {}, bool keepdims = false, double correction = 1);
/// √nanvar. Where it is 0, so is the gradient, to any order.
Tensor nanstd(const Tensor& x, const Axes& axes = {}, bool keepdims = false, double correction = 1);

/// The polynomial with these coefficients (1-d, the highest power first, as in NumPy) at each x; 0
/// without any.
Tensor polyval(const Tensor& coefficients, const Tensor& x);

}  // namespace autograd

#pragma GCC visibility pop
