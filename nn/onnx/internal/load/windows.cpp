#include "nn/onnx/internal/load/windows.hpp"

#include <algorithm>

#include "autograd/autograd.hpp"

namespace nn::interpreter {

ag::Shape spatial(std::string_view op, const Tensor& x) {
  if (x.ndim() < 3 || x.ndim() > 5)
    ag::fail(op, "x must have one to three spatial axes, got shape {}", x.shape());
  return ag::Shape(x.shape().begin() + 2, x.shape().end());
}

Windows::Windows(Node& node) {
  kernel = node.integers("kernel_shape").value_or(Integers());
  strides = node.integers("strides").value_or(Integers());
  dilations = node.integers("dilations").value_or(Integers());
  pads = node.integers("pads").value_or(Integers());
  using enum AutoPad;
  automatic = choice<AutoPad>(node, "auto_pad", node.text("auto_pad", "NOTSET"),
                              {{"NOTSET", notset},
                               {"", notset},
                               {"SAME_UPPER", same_upper},
                               {"SAME_LOWER", same_lower},
                               {"VALID", valid}});
  for (const auto* sizes : {&kernel, &strides, &dilations})
    for (const std::int64_t n : *sizes)
      if (n < 1 || n > (1 << 30))
        node.refuse("kernels, strides and dilations must be in [1, 2^30], got {}", n);
  for (const std::int64_t n : pads)
    if (n < -(1 << 30) || n > (1 << 30)) node.refuse("pads must be in [-2^30, 2^30], got {}", n);
}

Windows Windows::of(std::string_view op, const Integers& kernel_shape) const {
  Windows w = *this;
  const std::size_t n = kernel_shape.size();
  if (w.kernel.empty()) w.kernel = kernel_shape;
  if (w.kernel != kernel_shape)
    ag::fail(op, "kernel_shape must be that of the weight, got {} axes or other sizes",
             w.kernel.size());
  if (w.strides.empty()) w.strides.assign(n, 1);
  if (w.dilations.empty()) w.dilations.assign(n, 1);
  if (w.pads.empty()) w.pads.assign(2 * n, 0);
  if (w.strides.size() != n || w.dilations.size() != n || w.pads.size() != 2 * n)
    ag::fail(op, "strides, dilations and pads must be for {} axes, got {}, {} and {} numbers", n,
             w.strides.size(), w.dilations.size(), w.pads.size());
  return w;
}

Integers Windows::pads_for(const ag::Shape& x) const {
  if (automatic == AutoPad::notset) return pads;
  Integers widths(2 * axes());
  if (automatic == AutoPad::valid) return widths;
  for (std::size_t i = 0; i < axes(); ++i) {
    const std::int64_t count = (x[i] + strides[i] - 1) / strides[i];
    const std::int64_t all = std::max<std::int64_t>((count - 1) * strides[i] + extent(i) - x[i], 0);
    const std::int64_t less = all / 2;
    widths[i] = automatic == AutoPad::same_upper ? less : all - less;
    widths[axes() + i] = all - widths[i];
  }
  return widths;
}

// A window that would begin in the zeros behind x is none, as in PyTorch and onnxruntime.
std::int64_t Windows::count(const ag::Shape& x, const Integers& widths, std::size_t i) const {
  const std::int64_t room = x[i] + widths[i] + widths[axes() + i] - extent(i);
  const std::int64_t last = room + (ceil ? strides[i] - 1 : 0);
  if (last < 0) return 0;
  const std::int64_t all = last / strides[i] + 1;
  if (!ceil) return all;
  return (all - 1) * strides[i] >= x[i] + widths[i] ? all - 1 : all;
}

}  // namespace nn::interpreter
