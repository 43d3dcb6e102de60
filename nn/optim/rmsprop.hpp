#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;  ///< decay of the mean of g²
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  double momentum = 0;
  bool centered = false;  ///< divide by the deviation of g from its mean
  bool maximize = false;  ///< ascend instead
};

extern template class RuleOptimizer<RMSpropOptions>;

/// RMSprop (Hinton's lectures; centered: Graves 2013): p ← p - lr g / (√v + eps), v the running
/// mean of g².
class RMSprop : public RuleOptimizer<RMSpropOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
