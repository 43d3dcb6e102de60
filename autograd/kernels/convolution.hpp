#pragma once

#include <array>
#include <cstdint>

#include "autograd/core/attributes.hpp"

#pragma GCC visibility push(default)  // for the tests

namespace autograd::kernels {

/// Along the three axes of a convolution; one of fewer axes has ones in front.
using Extents = std::array<std::int64_t, 3>;

/// x is (images, groups · in_channels, in…), w is (groups · out_channels, in_channels, kernel…), y
/// is (images, groups · out_channels, out…). Element p of x, tap k and element o of y meet where p
/// = o · stride + k · dilation - before, which must not overflow; what lies outside of x counts as
/// zeros.
struct Convolution {
  std::int64_t images, groups, in_channels, out_channels;  // channels of one group
  Extents in, out, kernel, stride, dilation, before;
  XGRAD_ATTRIBUTES(images, groups, in_channels, out_channels, in, out, kernel, stride, dilation,
                   before)
};

/// The three sums of products x w y, each over what its result is not: y from x and w, x from y and
/// w, w from x and y. A bias (one number for each channel of the result, null for none) is added.
/// Same bits for any number of threads.
template <class T>
[[gnu::visibility("default")]] void convolve(const Convolution& c, const T* x, const T* w,
                                             const T* bias, T* y);
template <class T>
[[gnu::visibility("default")]] void convolve_transposed(const Convolution& c, const T* y,
                                                        const T* w, const T* bias, T* x);
template <class T>
[[gnu::visibility("default")]] void convolve_weight(const Convolution& c, const T* x, const T* y,
                                                    T* w);

}  // namespace autograd::kernels

#pragma GCC visibility pop
