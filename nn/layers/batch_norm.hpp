#pragma once

#include <optional>
#include <string_view>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Options of `BatchNorm1d`, `BatchNorm2d` and `BatchNorm3d`.
struct BatchNormOptions {
  double eps = 1e-5;                     ///< added to the variance
  std::optional<double> momentum = 0.1;  ///< of the running statistics; none: their average
  bool affine = true;                    ///< with weight and bias
  bool track_running_stats = true;       ///< false: statistics of the batch in evaluation too
  bool bias = true;                      ///< false: with weight only
};

/// Options of `InstanceNorm1d`, `InstanceNorm2d` and `InstanceNorm3d`.
struct InstanceNormOptions {
  double eps = 1e-5;                 ///< added to the variance
  double momentum = 0.1;             ///< of the running statistics
  bool affine = false;               ///< with weight and bias
  bool track_running_stats = false;  ///< true: running statistics in evaluation
  bool bias = true;                  ///< false: with weight only, if affine
};

namespace detail {
/// What normalisation with running statistics shares. Weight and running variance start at 1, bias
/// and running mean at 0.
struct RunningNorm : Module {
  std::int64_t num_features() const { return num_features_; }
  /// The running statistics as they started.
  void reset_running_stats();
  /// The same, and weight and bias.
  void reset_parameters();
  std::string extra_repr() const override;

  Parameter weight;            ///< (num_features), undefined unless affine
  Parameter bias;              ///< (num_features), undefined unless affine
  Buffer running_mean;         ///< (num_features), undefined unless tracked
  Buffer running_var;          ///< (num_features), undefined unless tracked
  Buffer num_batches_tracked;  ///< int64, 0-d, undefined unless tracked

 protected:
  RunningNorm(std::string_view op, int axes, std::int64_t num_features,
              const BatchNormOptions& options);
  // Throws unless x is (n, num_features, …) with `axes_` more axes, or one less where `least` says.
  void check(const ag::Tensor& x, int least) const;

  BatchNormOptions options_;
  int axes_;

 private:
  std::string_view op_;
  std::int64_t num_features_;
};

struct BatchNorm : RunningNorm {
  ag::Tensor forward(const ag::Tensor& x) const;
  /// The share of a batch in the running statistics; none: they are the average of all.
  std::optional<double> momentum() const noexcept { return options_.momentum; }
  /// Throws unless it is in [0, 1] or none.
  void set_momentum(std::optional<double> momentum);

 protected:
  BatchNorm(int axes, std::int64_t num_features, const BatchNormOptions& options);
};

struct InstanceNorm : RunningNorm {
  ag::Tensor forward(const ag::Tensor& x) const;

 protected:
  InstanceNorm(int axes, std::int64_t num_features, const InstanceNormOptions& options);
};
}  // namespace detail

/// `ag::batch_norm` of x (n, channels) or (n, channels, length), by the statistics of the batch in
/// training and by the running ones in evaluation (Ioffe and Szegedy 2015). A call in training
/// writes the running statistics, so no two threads may make one at the same time.
class BatchNorm1d : public detail::BatchNorm {
 public:
  explicit BatchNorm1d(std::int64_t num_features, const BatchNormOptions& options = {})
      : BatchNorm(1, num_features, options) {}
  NN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};
/// The same for x (n, channels, height, width).
class BatchNorm2d : public detail::BatchNorm {
 public:
  explicit BatchNorm2d(std::int64_t num_features, const BatchNormOptions& options = {})
      : BatchNorm(2, num_features, options) {}
  NN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};
/// The same for x (n, channels, depth, height, width).
class BatchNorm3d : public detail::BatchNorm {
 public:
  explicit BatchNorm3d(std::int64_t num_features, const BatchNormOptions& options = {})
      : BatchNorm(3, num_features, options) {}
  NN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};

/// `ag::instance_norm` of x (n, channels, length), or without n (Ulyanov 2016). A call in training
/// writes the running statistics, if they are tracked, so no two threads may make one at the same
/// time; as in PyTorch, `num_batches_tracked` stays 0.
class InstanceNorm1d : public detail::InstanceNorm {
 public:
  explicit InstanceNorm1d(std::int64_t num_features, const InstanceNormOptions& options = {})
      : InstanceNorm(1, num_features, options) {}
  NN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};
/// The same for x (n, channels, height, width), or without n.
class InstanceNorm2d : public detail::InstanceNorm {
 public:
  explicit InstanceNorm2d(std::int64_t num_features, const InstanceNormOptions& options = {})
      : InstanceNorm(2, num_features, options) {}
  NN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};
/// The same for x (n, channels, depth, height, width), or without n.
class InstanceNorm3d : public detail::InstanceNorm {
 public:
  explicit InstanceNorm3d(std::int64_t num_features, const InstanceNormOptions& options = {})
      : InstanceNorm(3, num_features, options) {}
  NN_MODULE(weight, bias, running_mean, running_var, num_batches_tracked)
};

}  // namespace nn

#pragma GCC visibility pop
