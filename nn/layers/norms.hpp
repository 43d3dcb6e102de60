#pragma once

#include <optional>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Options of `GroupNorm`.
struct GroupNormOptions {
  double eps = 1e-5;   ///< added to the variance
  bool affine = true;  ///< with weight and bias
  bool bias = true;    ///< false: with weight only
};

/// `ag::group_norm` of x (n, channels, …) (Wu and He 2018). Weight starts at 1, bias at 0.
class GroupNorm : public Module {
 public:
  /// num_groups divides num_channels.
  GroupNorm(std::int64_t num_groups, std::int64_t num_channels,
            const GroupNormOptions& options = {});
  NN_MODULE(weight, bias)
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

  Parameter weight;  ///< (num_channels), undefined unless affine
  Parameter bias;    ///< (num_channels), undefined unless affine

 private:
  std::int64_t num_groups_, num_channels_;
  GroupNormOptions options_;
};

/// Options of `RMSNorm`.
struct RMSNormOptions {
  std::optional<double> eps{};     ///< added to the mean square; none: see `ag::rms_norm`
  bool elementwise_affine = true;  ///< with weight
};

/// `ag::rms_norm` over the last axes, which must be `normalized_shape` (Zhang and Sennrich 2019).
/// Weight starts at 1.
class RMSNorm : public Module {
 public:
  /// One size or several, each at least 1.
  explicit RMSNorm(const ag::Shape& normalized_shape, const RMSNormOptions& options = {});
  // Otherwise ({8}) might also stand for an RMSNorm to copy.
  template <ag::Index I, std::size_t N>
  explicit RMSNorm(const I (&normalized_shape)[N], const RMSNormOptions& options = {})
      : RMSNorm(ag::Shape(normalized_shape, normalized_shape + N), options) {}
  NN_MODULE(weight)
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

  Parameter weight;  ///< normalized_shape, undefined unless elementwise_affine

 private:
  ag::Shape shape_;
  std::optional<double> eps_;
};

/// Options of `LocalResponseNorm`.
struct LocalResponseNormOptions {
  double alpha = 1e-4;
  double beta = 0.75;
  double k = 1;
};

/// `ag::local_response_norm` over `size` neighbouring channels (Krizhevsky 2012).
class LocalResponseNorm : public Module {
 public:
  /// size at least 1.
  explicit LocalResponseNorm(std::int64_t size, const LocalResponseNormOptions& options = {});
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t size_;
  LocalResponseNormOptions options_;
};

}  // namespace nn

#pragma GCC visibility pop
