#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "autograd/ops/movement/movement.hpp"

#pragma GCC visibility push(default)

/// Convolutions over one, two or three spatial axes, in PyTorch's layouts: (batch, channels, …), or
/// (channels, …) for one sample.
namespace autograd {

/// The zeros around the spatial axes: one number, or one for each axis, or two for each axis
/// (before and after it), or "same" (as many results as elements, with the odd one at the end; for
/// stride 1) or "valid" (none). A value.
class Padding {
 public:
  template <Index... I>
  requires(sizeof...(I) > 0) Padding(I... widths)  // NOLINT: `{.padding = 1}`
      : widths_(widths...) {}
  Padding(const Integers& widths) : widths_(widths) {}  // NOLINT
  Padding(const char* name);                            // NOLINT: `{.padding = "same"}`
  const Integers& widths() const { return widths_; }    ///< none for a name
  std::string_view name() const { return name_; }       ///< empty for numbers
  /// As it was given: 1, (1, 2), same.
  std::string str() const;

 private:
  Integers widths_;
  std::string_view name_;
};

/// Options of `conv1d`, `conv2d` and `conv3d`. Numbers are for all axes, or one for each.
struct ConvOptions {
  Integers stride = 1;      ///< from one place of the kernel to the next
  Padding padding = 0;      ///< around x
  Integers dilation = 1;    ///< from one element of the kernel to the next
  std::int64_t groups = 1;  ///< channels in so many parts, each with weights of its own

  /// What the padding is before and after each axis, in pairs, for a weight of this shape. Throws,
  /// in the name of `op`, as the operation does.
  Integers padding_widths(std::string_view op, const Shape& weight) const;
};
/// Sums of x times the weight at each place: x (batch, in, …) and weight (out, in / groups,
/// kernel…) give (batch, out, …), plus a bias (out) where it is defined. The weight is not mirrored
/// (cross-correlation, as in PyTorch). A result has ⌊(size + padding - dilation (kernel - 1) - 1) /
/// stride⌋ + 1 elements along an axis; the kernel must fit.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});

/// Options of `conv_transpose1d`, `conv_transpose2d` and `conv_transpose3d`.
struct ConvTransposeOptions {
  Integers stride = 1;          ///< from the place of one element of x to that of the next
  Padding padding = 0;          ///< cut off at the ends of the result; numbers
  Integers output_padding = 0;  ///< more elements at the end; less than stride or dilation
  std::int64_t groups = 1;      ///< channels in so many parts
  Integers dilation = 1;        ///< from one element of the kernel to the next
};
/// The transpose of the convolution with these options, its gradient with respect to x: x (batch,
/// in, …) and weight (in, out / groups, kernel…) give (batch, out, …). A result has (size - 1)
/// stride - padding + dilation (kernel - 1) + output_padding + 1 elements along an axis.
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeOptions& options = {});

}  // namespace autograd

#pragma GCC visibility pop
