#pragma once

#include "autograd/core/kernel.hpp"

/// Sums and extremes.
namespace autograd::kernels {

/// y[i] += x[i].
template <class T>
struct Add : Kernel<Add<T>, ByElements<200>, void(Each<T> y, Each<const T> x, Count n)> {};

/// Elements that `Sum` adds in their own precision before the double total.
constexpr std::int64_t kSumBlock = 1024;

// Cuts of reductions of (outer, n, inner): between results, which do not depend on each other. A
// single long row is cut into blocks of a fixed size, and their results are
struct ToOneSum;      ///< added in double, in order, as the kernel does within a row
struct ToOneExtreme;  ///< reduced by the kernel

/// out[o][i] = Σ_k in[o][k][i] with in (outer, n, inner), each k `stride` after the one before.
template <class T>
struct Sum : Kernel<Sum<T>, ToOneSum,
                    void(const T* in, T* out, std::int64_t outer, std::int64_t n,
                         std::int64_t inner, std::int64_t stride)> {};

/// Largest and smallest, NaN if any is; n > 0. Which of several NaNs or zeros it is may depend on
/// the cut.
template <class T>
struct Max : Kernel<Max<T>, ToOneExtreme,
                    void(const T* in, T* out, std::int64_t outer, std::int64_t n,
                         std::int64_t inner, std::int64_t stride)> {};
template <class T>
struct Min : Kernel<Min<T>, ToOneExtreme,
                    void(const T* in, T* out, std::int64_t outer, std::int64_t n,
                         std::int64_t inner, std::int64_t stride)> {};

}  // namespace autograd::kernels
