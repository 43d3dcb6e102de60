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

}  // namespace autograd

#pragma GCC visibility pop
