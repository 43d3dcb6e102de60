#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct LionOptions {
  double lr = 1e-4;
  std::pair<double, double> betas = {0.9, 0.99};  ///< of the step, and of the mean; in [0, 1)
  double weight_decay = 0;  ///< shrinks the parameter by lr * weight_decay, apart from the gradient
  bool maximize = false;    ///< ascend instead
};

extern template class RuleOptimizer<LionOptions>;

/// Lion (Chen et al. 2023): p ← (1 - lr weight_decay) p - lr sign(β₁ m + (1 - β₁) g), then
/// m ← β₂ m + (1 - β₂) g. Each step has the length lr in each element: rates are a third to a tenth
/// of Adam's, weight decays as much larger.
class Lion : public RuleOptimizer<LionOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
