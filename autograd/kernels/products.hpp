#pragma once

#include "autograd/core/kernel.hpp"

namespace autograd::kernels {

/// Products and their tangents, n of each, times x with the tangents t.
template <class T>
struct MultiplyTangents
    : Kernel<MultiplyTangents<T>, Whole,
             void(std::int64_t n, const T* x, const T* t, double* product, double* tangent)> {};

}  // namespace autograd::kernels
