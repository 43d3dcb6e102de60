#pragma once

#include "autograd/ops/neural/pooling.hpp"

#pragma GCC visibility push(default)

/// Back from max pooling, and pooling by norms.
namespace autograd {

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
