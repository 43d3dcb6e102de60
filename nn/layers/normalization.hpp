#pragma once

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Options of `LayerNorm`.
struct LayerNormOptions {
  double eps = 1e-5;               ///< added to the variance
  bool elementwise_affine = true;  ///< with weight and bias
  bool bias = true;                ///< false: with weight only
};

/// (x - mean) / √(variance + eps) · weight + bias over the last axes, which must be
/// `normalized_shape` (Ba, Kiros and Hinton 2016). Weight starts at 1, bias at 0.
class LayerNorm : public Module {
 public:
  /// One size or several, each at least 1.
  explicit LayerNorm(const ag::Shape& normalized_shape, const LayerNormOptions& options = {});
  // Otherwise ({8}) might also stand for a LayerNorm to copy.
  template <ag::Index I, std::size_t N>
  explicit LayerNorm(const I (&normalized_shape)[N], const LayerNormOptions& options = {})
      : LayerNorm(ag::Shape(normalized_shape, normalized_shape + N), options) {}
  NN_MODULE(weight, bias)
  ag::Tensor forward(const ag::Tensor& x) const;
  const ag::Shape& normalized_shape() const noexcept { return shape_; }
  std::string extra_repr() const override;

  Parameter weight;  ///< normalized_shape
  Parameter bias;    ///< normalized_shape

 private:
  ag::Shape shape_;
  double eps_;
};

}  // namespace nn

#pragma GCC visibility pop
