#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct RAdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};  ///< decay of the means of g and g², in [0, 1)
  double eps = 1e-8;
  double weight_decay = 0;
  bool decoupled_weight_decay = false;  ///< as AdamW; otherwise added to the gradient
  bool maximize = false;                ///< ascend instead
};

extern template class RuleOptimizer<RAdamOptions>;

/// RAdam (Liu et al. 2020): p ← p - lr m̂ as long as the mean of g² is of too few steps to be
/// trusted, then Adam's step times a factor that grows to 1.
class RAdam : public RuleOptimizer<RAdamOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
