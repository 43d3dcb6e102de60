#pragma once

#include <cstdint>
#include <optional>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Normalisation beside `layer_norm`: over a batch, an instance, groups of channels.
namespace autograd {

/// Options of `batch_norm`.
struct BatchNormOptions {
  /// By mean and variance of x, and the running ones, where defined, are updated in place; false:
  /// by the running ones.
  bool training = false;
  /// How much of the running statistics an update replaces; none: they are the average over all
  /// batches, which `num_batches_tracked` must count.
  std::optional<double> momentum = 0.1;
  double eps = 1e-5;             ///< added to the variance
  Tensor num_batches_tracked{};  ///< int64, one element: an update adds 1 to it, where defined
};
/// (x - mean) / √(variance + eps) · weight + bias for each channel of x (n, channels, …) (Ioffe and
/// Szegedy 2015). All others have shape (channels), in the dtype of x. The running variance is
/// updated by the unbiased one, n / (n - 1) times that of the result. An empty x updates nothing but
/// the count; nor does the second pass of a `checkpoint()` update. Throws in training for a single
/// value per channel.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight = {}, const Tensor& bias = {},
                  const BatchNormOptions& options = {});

namespace detail {
/// What `batch_norm` does to running statistics and their count, where defined, after a batch of
/// `count` values per channel with this mean and (biased) variance: for a batch of which x is a part.
void update_running_statistics(const Tensor& running_mean, const Tensor& running_var,
                               const Tensor& num_batches_tracked, const Tensor& mean,
                               const Tensor& var, std::int64_t count,
                               std::optional<double> momentum);
}

/// Options of `instance_norm`.
struct InstanceNormOptions {
  bool use_input_stats = true;  ///< false: by the running statistics
  double momentum = 0.1;        ///< how much of the running statistics an update replaces
  double eps = 1e-5;            ///< added to the variance
};
/// As `batch_norm` for each channel of each sample by itself (Ulyanov 2016). Running statistics,
/// where defined, are updated by the means over the samples. Throws for a single value per channel
/// under use_input_stats.
Tensor instance_norm(const Tensor& x, const Tensor& running_mean = {},
                     const Tensor& running_var = {}, const Tensor& weight = {},
                     const Tensor& bias = {}, const InstanceNormOptions& options = {});

/// The same for each of `num_groups` equal groups of the channels of each sample of x (n, channels,
/// …), then · weight + bias where defined, both (channels) (Wu and He 2018).
Tensor group_norm(const Tensor& x, std::int64_t num_groups, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

/// x / √(mean(x²) + eps) over the last `normalized.ndim()` axes, then · weight where defined, of
/// shape `normalized` (Zhang and Sennrich 2019). eps: none is the distance from 1 to the next number
/// of the dtype.
Tensor rms_norm(const Tensor& x, const Shape& normalized, const Tensor& weight = {},
                std::optional<double> eps = {});

/// x / (k + alpha · mean(x²))^beta for x (n, channels, …) of at least three axes, with the mean over
/// `size` neighbouring channels, of which the missing ones count as 0 (Krizhevsky 2012).
Tensor local_response_norm(const Tensor& x, std::int64_t size, double alpha = 1e-4,
                           double beta = 0.75, double k = 1);

}  // namespace autograd

#pragma GCC visibility pop
