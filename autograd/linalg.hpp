#pragma once

#include <cstdint>

#include "autograd/tape.hpp"

/// Products and linear algebra.
namespace autograd {

/// Matrix product as NumPy's: 2-D; batched over broadcast leading axes; a 1-D operand is a row on
/// the left, a column on the right, and its axis goes.
Tensor matmul(const Tensor& a, const Tensor& b);
/// x Wᵀ + bias with x (…, in), weight (out, in), bias (out) or undefined. → (…, out).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace autograd
