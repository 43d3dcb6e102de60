#pragma once

#include "autograd/core/kernel.hpp"

/// Tangents of extremes.
namespace autograd::kernels {

/// out[o][i] is the mean of t[o][k][i] over all k where x[o][k][i] is the extreme y[o][i], or NaN.
/// x and t are (outer, n, inner).
template <class T>
struct ExtremeTangent : Kernel<ExtremeTangent<T>, Whole,
                               void(const T* x, const T* y, const T* t, T* out, std::int64_t outer,
                                    std::int64_t n, std::int64_t inner)> {};

}  // namespace autograd::kernels
