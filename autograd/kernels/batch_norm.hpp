#pragma once

#include "autograd/core/kernel.hpp"

/// Batch normalisation.
namespace autograd::kernels {

/// The shape of x: each channel has `outer` planes of `inner` elements. `together` neighbouring
/// channels, which divides their number, are a group with statistics of its own.
struct Channels {
  std::int64_t outer, channels, inner, together;
  std::int64_t groups() const { return channels / together; }
};

// Each call has the groups from `begin` on, below `end`, and no result depends on where the others
// are computed. weight and bias (channels) may be null, and are 1 and 0 then.

/// The groups normalised to mean 0 and variance 1, then · weight + bias. Keeps the mean, 1/σ and the
/// variance of each.
template <class T>
struct BatchNorm
    : Kernel<BatchNorm<T>, Whole,
             void(Channels shape, std::int64_t begin, std::int64_t end, const T* x, const T* weight,
                  const T* bias, double eps, T* y, T* mean, T* rstd, T* var)> {};

/// (x - mean) rstd · weight + bias with given numbers for each group.
template <class T>
struct ChannelNorm
    : Kernel<ChannelNorm<T>, Whole,
             void(Channels shape, std::int64_t begin, std::int64_t end, const T* x, const T* mean,
                  const T* rstd, const T* weight, const T* bias, T* y)> {};

/// The gradients of both from the cotangent g; gx, gweight and gbias may be null. `of_batch`: mean
/// and rstd are those of x.
template <class T>
struct BatchNormGradient : Kernel<BatchNormGradient<T>, Whole,
                                  void(Channels shape, std::int64_t begin, std::int64_t end,
                                       const T* x, const T* mean, const T* rstd, const T* weight,
                                       const T* g, bool of_batch, T* gx, T* gweight, T* gbias)> {};

/// The tangent of both along t and, unless null, those of weight and bias. `of_batch` as above.
template <class T>
struct BatchNormTangent
    : Kernel<BatchNormTangent<T>, Whole,
             void(Channels shape, std::int64_t begin, std::int64_t end, const T* x, const T* mean,
                  const T* rstd, const T* weight, const T* t, const T* tweight, const T* tbias,
                  bool of_batch, T* ty)> {};

}  // namespace autograd::kernels
