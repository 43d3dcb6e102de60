#pragma once

#include "autograd/core/kernel.hpp"

namespace autograd::kernels {

/// sum (n) += Σ factors[j] · (x - row j of y), with x (n) and y (rows, n), in double.
template <class T>
struct AddDifferences : Kernel<AddDifferences<T>, Whole,
                               void(const T* x, const T* y, const double* factors,
                                    std::int64_t rows, std::int64_t n, double* sum)> {};

}  // namespace autograd::kernels
