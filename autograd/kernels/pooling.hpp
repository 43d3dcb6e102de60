#pragma once

#include <array>

#include "autograd/core/attributes.hpp"

/// Pooling over planes of up to three axes.
namespace autograd::kernels {

/// The windows along one axis of `in` elements: window i of `out` has the elements i stride -
/// before, one every `dilation`, as far as the axis has them. With a kernel of 0 the windows
/// together cover the axis: from ⌊i in / out⌋ to ⌈(i + 1) in / out⌉.
struct PoolAxis {
  std::int64_t in, out, kernel, stride, dilation, before;
  XGRAD_ATTRIBUTES(in, out, kernel, stride, dilation, before)

  /// The first element that the axis has, and the one behind the last.
  std::int64_t begin(std::int64_t i) const {
    if (kernel == 0) return i * in / out;
    const std::int64_t first = i * stride - before;
    return first >= 0 ? first : first + (-first + dilation - 1) / dilation * dilation;
  }
  std::int64_t end(std::int64_t i) const {
    if (kernel == 0) return ((i + 1) * in + out - 1) / out;
    const std::int64_t last = i * stride - before + (kernel - 1) * dilation + 1;
    return last < in ? last : in;
  }
  std::int64_t step() const { return kernel == 0 ? 1 : dilation; }
  /// The windows of which no element is missing: those from whole_begin on, below whole_end.
  std::int64_t whole_begin() const;
  std::int64_t whole_end() const;
};

/// From planes of the sizes in[0] · in[1] · in[2]: the largest element of each window, of equal
/// ones the first, of NaNs the last; and its place in the plane. Every window has an element.
template <class T>
void max_pool(const std::array<PoolAxis, 3>& axes, std::int64_t planes, const T* x, T* y,
              std::int64_t* indices);

}  // namespace autograd::kernels
