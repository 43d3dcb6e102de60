#pragma once

#include "autograd/core/kernel.hpp"

/// Lines in another number of elements, each a weighted sum of old ones.
namespace autograd::kernels {

/// y[i] = Σ weights[k] · x[places[k]] over k from begins[i] to begins[i + 1] - 1, from 0 on, for i
/// from `first` to `last` - 1, where each element of x and y is `width` numbers.
template <class T>
struct Resample : Kernel<Resample<T>, Whole,
                         void(const T* x, const std::int64_t* begins, const std::int64_t* places,
                              const T* weights, std::int64_t first, std::int64_t last,
                              std::int64_t width, T* y)> {};

}  // namespace autograd::kernels
