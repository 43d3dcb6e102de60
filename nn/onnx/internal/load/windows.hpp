#pragma once

#include <string_view>

#include "nn/onnx/internal/load/elements.hpp"

/// Where the windows of convolutions and poolings stand.
namespace nn::interpreter {

enum class AutoPad { notset, same_upper, same_lower, valid };

/// What Conv, the poolings and their kin say of windows; empty: the default.
struct Windows {
  explicit Windows(Node& node);

  Integers kernel, strides, dilations, pads;
  AutoPad automatic;
  bool ceil = false;

  /// The same for a number of spatial axes, with nothing left out. Throws for `op` unless all fits.
  Windows of(std::string_view op, const Integers& kernel_shape) const;
  /// The pads {begin…, end…} for spatial sizes: those of the node, or what auto_pad means.
  Integers pads_for(const ag::Shape& x) const;
  /// How many windows there are along spatial axis i.
  std::int64_t count(const ag::Shape& x, const Integers& widths, std::size_t i) const;
  std::size_t axes() const { return kernel.size(); }
  /// The size of a window with its gaps.
  std::int64_t extent(std::size_t i) const { return dilations[i] * (kernel[i] - 1) + 1; }
};

/// The spatial sizes of x (n, channels, …).
ag::Shape spatial(std::string_view op, const Tensor& x);

}  // namespace nn::interpreter
