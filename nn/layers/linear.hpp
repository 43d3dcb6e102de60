#pragma once

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// y = x Wᵀ + b on the last axis: (…, in) → (…, out). Weight and bias start uniform in ±1/√in, as
/// in PyTorch.
class Linear : public Module {
 public:
  /// Sizes of at least 1. Without bias, `bias` is undefined.
  Linear(std::int64_t in_features, std::int64_t out_features, bool bias = true);
  NN_MODULE(weight, bias)
  ag::Tensor forward(const ag::Tensor& x) const { return forward_with(x, weight, bias); }
  /// The same with these in place of weight and bias; no hooks run.
  ag::Tensor forward_with(const ag::Tensor& x, const ag::Tensor& w, const ag::Tensor& b) const;
  /// Draws new initial values.
  void reset_parameters();
  std::int64_t in_features() const { return weight.size(1); }
  std::int64_t out_features() const { return weight.size(0); }
  std::string extra_repr() const override;

  Parameter weight;  ///< (out, in)
  Parameter bias;    ///< (out)
};

/// y = x, a placeholder.
class Identity : public Module {
 public:
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const { return x; }
};

}  // namespace nn

#pragma GCC visibility pop
