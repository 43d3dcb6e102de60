#pragma once

#include "autograd/tensor.hpp"

/// Unrecorded helpers that the tape and the operations share. Not installed for users.
namespace autograd::internal {

/// Nobody else can see the elements of `t`.
bool sole_owner(const Tensor& t);
/// total += g. Reuses the buffer of either where nobody else looks and the sum is not recorded.
void accumulate(Tensor& total, Tensor g);
/// Fills with `value`, converted to the dtype.
void fill(Tensor& t, double value);
/// Converts the elements of `from` into `to`, of the same number of elements.
void convert(const Tensor& from, Tensor& to);
/// A new handle with another shape (same number of elements) on the same storage, off the tape.
Tensor view_as(const Tensor& t, const Shape& shape);
/// Throws unless both tensors have one dtype.
void check_same_dtype(std::string_view op, const Tensor& a, const Tensor& b);
/// Throws unless a gradient has the shape and dtype of its tensor.
void check_gradient(std::string_view where, const Tensor& gradient, const Shape& shape,
                    DType dtype);
/// Throws unless float32 or float64.
void check_floating(std::string_view op, const Tensor& t);

}  // namespace autograd::internal
