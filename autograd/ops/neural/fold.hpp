#pragma once

#include "autograd/ops/movement/movement.hpp"

#pragma GCC visibility push(default)

/// Windows of images as columns, and back.
namespace autograd {

/// Options of `im2col` and `fold`. Numbers are for both axes, or one for each.
struct FoldOptions {
  Integers dilation = 1;  ///< from one element of a window to the next
  Integers padding = 0;   ///< zeros at both ends
  Integers stride = 1;    ///< from one window to the next
};
/// The windows of x (batch, channels, height, width), or without a batch, as columns (batch,
/// channels · kernel elements, windows), both in row-major order: `unfold` of torch.nn.functional.
/// A convolution is the product of its weight and these. (`unfold` here is that of tensors, along
/// one axis.) float32 and float64.
Tensor im2col(const Tensor& x, const Integers& kernel_size, const FoldOptions& options = {});
/// The transpose: images (batch, channels, output_size) that are 0 but for the columns of x, each
/// element added where `im2col` of such images would have taken it from.
Tensor fold(const Tensor& x, const Integers& output_size, const Integers& kernel_size,
            const FoldOptions& options = {});

}  // namespace autograd

#pragma GCC visibility pop
