#pragma once

#include <cstdint>

#include "autograd/core/kernel.hpp"

/// What clipping does to many gradients, in one pass.
namespace nn::optim {

namespace kernels = autograd::kernels;

/// Between any two chunks.
struct ByChunks;

/// A piece of a gradient, and room for the result of its reduction.
template <class T>
struct GradientChunk {
  T* g;
  std::int64_t n;
  double result;
};

/// Of each chunk: Σ |g|, Σ g², Σ |g|^p, or max |g| (NaN if there is one), in double and in an order
/// that depends on its size alone.
template <class T>
struct SumAbs
    : kernels::Kernel<SumAbs<T>, ByChunks, void(kernels::Each<GradientChunk<T>>, kernels::Count)> {
};
template <class T>
struct SumSquares : kernels::Kernel<SumSquares<T>, ByChunks,
                                    void(kernels::Each<GradientChunk<T>>, kernels::Count)> {};
template <class T>
struct SumPowers
    : kernels::Kernel<SumPowers<T>, ByChunks,
                      void(kernels::Each<GradientChunk<T>>, kernels::Count, double p)> {};
template <class T>
struct MaxAbs
    : kernels::Kernel<MaxAbs<T>, ByChunks, void(kernels::Each<GradientChunk<T>>, kernels::Count)> {
};

/// Its elements times a factor, or limited to [-limit, limit].
template <class T>
struct Scale
    : kernels::Kernel<Scale<T>, ByChunks,
                      void(kernels::Each<const GradientChunk<T>>, kernels::Count, T factor)> {};
template <class T>
struct Limit
    : kernels::Kernel<Limit<T>, ByChunks,
                      void(kernels::Each<const GradientChunk<T>>, kernels::Count, T limit)> {};

}  // namespace nn::optim
