#pragma once

#include "autograd/core/kernel.hpp"

namespace autograd::kernels {

/// y[i] = beta y[i] + row i of a (rows, n) · x; y is not read for a beta of 0. A row's bits do not
/// depend on the others.
template <class T>
struct RowDots
    : Kernel<RowDots<T>, Whole,
             void(const T* a, const T* x, std::int64_t rows, std::int64_t n, T beta, T* y)> {};

}  // namespace autograd::kernels
