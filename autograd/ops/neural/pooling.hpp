#pragma once

#include <cstdint>

#include "autograd/ops/movement/movement.hpp"

#pragma GCC visibility push(default)

/// Pooling over one, two or three spatial axes: (batch, channels, …), or (channels, …) for one
/// sample.
namespace autograd {

/// The largest elements, and where they stand in the spatial axes of x, counted in row-major order
/// (int64).
struct MaxPooled {
  Tensor values;
  Tensor indices;
};

/// Options of max pooling. Numbers are for all axes, or one for each.
struct MaxPoolOptions {
  Integers stride{};       ///< from one window to the next; none: the kernel
  Integers padding = 0;    ///< places without a value at both ends; at most half of the kernel
  Integers dilation = 1;   ///< from one element of a window to the next
  bool ceil_mode = false;  ///< also windows that reach beyond the padding, if they begin before it
};
/// The largest element of each window. Of equal ones the first counts, and gets the whole gradient;
/// a NaN is the largest.
Tensor max_pool1d(const Tensor& x, const Integers& kernel, const MaxPoolOptions& options = {});
Tensor max_pool2d(const Tensor& x, const Integers& kernel, const MaxPoolOptions& options = {});
Tensor max_pool3d(const Tensor& x, const Integers& kernel, const MaxPoolOptions& options = {});
MaxPooled max_pool1d_with_indices(const Tensor& x, const Integers& kernel,
                                  const MaxPoolOptions& options = {});
MaxPooled max_pool2d_with_indices(const Tensor& x, const Integers& kernel,
                                  const MaxPoolOptions& options = {});
MaxPooled max_pool3d_with_indices(const Tensor& x, const Integers& kernel,
                                  const MaxPoolOptions& options = {});

/// Options of average pooling. Numbers are for all axes, or one for each.
struct AvgPoolOptions {
  Integers stride{};                  ///< from one window to the next; none: the kernel
  Integers padding = 0;               ///< zeros at both ends; at most half of the kernel
  bool ceil_mode = false;             ///< also windows that reach beyond the padding
  bool count_include_pad = true;      ///< the zeros count as elements
  std::int64_t divisor_override = 0;  ///< what sums are divided by; 0: the number of elements
};
/// The mean of each window.
Tensor avg_pool1d(const Tensor& x, const Integers& kernel, const AvgPoolOptions& options = {});
Tensor avg_pool2d(const Tensor& x, const Integers& kernel, const AvgPoolOptions& options = {});
Tensor avg_pool3d(const Tensor& x, const Integers& kernel, const AvgPoolOptions& options = {});

/// The mean, or the largest, of windows that together cover x and make a result of the given
/// spatial sizes: window i of n goes from ⌊i size / n⌋ to ⌈(i + 1) size / n⌉. A size of -1 stays.
Tensor adaptive_avg_pool1d(const Tensor& x, const Integers& output_size);
Tensor adaptive_avg_pool2d(const Tensor& x, const Integers& output_size);
Tensor adaptive_avg_pool3d(const Tensor& x, const Integers& output_size);
Tensor adaptive_max_pool1d(const Tensor& x, const Integers& output_size);
Tensor adaptive_max_pool2d(const Tensor& x, const Integers& output_size);
Tensor adaptive_max_pool3d(const Tensor& x, const Integers& output_size);
MaxPooled adaptive_max_pool1d_with_indices(const Tensor& x, const Integers& output_size);
MaxPooled adaptive_max_pool2d_with_indices(const Tensor& x, const Integers& output_size);
MaxPooled adaptive_max_pool3d_with_indices(const Tensor& x, const Integers& output_size);

/// Options of `max_unpool1d` and its kin. Numbers are for all axes, or one for each.
struct MaxUnpoolOptions {
  Integers stride{};       ///< of the pooling; none: the kernel
  Integers padding = 0;    ///< of the pooling
  Integers output_size{};  ///< of the result's spatial axes, less than a stride from the default
};
/// Zeros with the elements of x (batch, channels, …), or without a batch, in the places `indices`
/// (int64, of x's shape) that `max_pool1d_with_indices` gives: (size - 1) stride - 2 padding +
/// kernel elements along an axis, or output_size. Of several elements for one place the last in
/// row-major order stays, and gets the gradient. Throws on places outside.
Tensor max_unpool1d(const Tensor& x, const Tensor& indices, const Integers& kernel,
                    const MaxUnpoolOptions& options = {});
Tensor max_unpool2d(const Tensor& x, const Tensor& indices, const Integers& kernel,
                    const MaxUnpoolOptions& options = {});
Tensor max_unpool3d(const Tensor& x, const Tensor& indices, const Integers& kernel,
                    const MaxUnpoolOptions& options = {});

/// Options of `lp_pool1d` and its kin. Numbers are for all axes, or one for each.
struct LpPoolOptions {
  Integers stride{};       ///< from one window to the next; none: the kernel
  bool ceil_mode = false;  ///< also windows that reach beyond x, by the mean of what they have
};
/// (Σ xᵖ)^(1/p) of each window, where the sum is the mean of the powers times the elements of a
/// kernel; for p = ±inf the largest or smallest |x|. As in PyTorch of x, not of |x|, so that a
/// negative sum gives NaN. Where the sum is 0, so is the gradient, to any order (for p > 0). p is
/// not 0.
Tensor lp_pool1d(const Tensor& x, double p, const Integers& kernel,
                 const LpPoolOptions& options = {});
Tensor lp_pool2d(const Tensor& x, double p, const Integers& kernel,
                 const LpPoolOptions& options = {});
Tensor lp_pool3d(const Tensor& x, double p, const Integers& kernel,
                 const LpPoolOptions& options = {});

}  // namespace autograd

#pragma GCC visibility pop
