#pragma once

#include "nn/module/options.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// The cosine of the angle between a and b along an axis; see `ag::cosine_similarity`.
class CosineSimilarity : public Module {
 public:
  explicit CosineSimilarity(std::int64_t axis = 1, double eps = 1e-8) : dim_(axis), eps_(eps) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& a, const ag::Tensor& b) const;

 private:
  std::int64_t dim_;
  double eps_;
};

/// The p-norm of a - b + eps over the last axis; see `ag::pairwise_distance`.
class PairwiseDistance : public Module {
 public:
  explicit PairwiseDistance(double p = 2, double eps = 1e-6, bool keepdim = false)
      : norm_(p), eps_(eps), keepdim_(keepdim) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& a, const ag::Tensor& b) const;

 private:
  double norm_, eps_;
  bool keepdim_;
};

/// y = x1ᵀ W x2 + b on the last axes: (…, in1) and (…, in2) → (…, out). Weight and bias start
/// uniform in ±1/√in1, as in PyTorch.
class Bilinear : public Module {
 public:
  /// Sizes of at least 1. Without bias, `bias` is undefined.
  Bilinear(std::int64_t in1_features, std::int64_t in2_features, std::int64_t out_features,
           bool bias = true);
  NN_MODULE(weight, bias)
  ag::Tensor forward(const ag::Tensor& x1, const ag::Tensor& x2) const;
  /// Draws new initial values.
  void reset_parameters();
  std::string extra_repr() const override;

  Parameter weight;  ///< (out, in1, in2)
  Parameter bias;    ///< (out)
};

}  // namespace nn

#pragma GCC visibility pop
