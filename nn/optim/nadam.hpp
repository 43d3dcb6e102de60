#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct NAdamOptions {
  double lr = 2e-3;
  std::pair<double, double> betas = {0.9, 0.999};  ///< decay of the means of g and g², in [0, 1)
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;         ///< how soon momentum grows to β₁
  bool decoupled_weight_decay = false;  ///< as AdamW; otherwise added to the gradient
  bool maximize = false;                ///< ascend instead
};

extern template class RuleOptimizer<NAdamOptions>;

/// NAdam (Dozat 2016): Adam with Nesterov's momentum. p ← p - lr ((1 - μₜ) g / (1 - Πμ) + μₜ₊₁ m /
/// (1 - μₜ₊₁ Πμ)) / (√v̂ + eps), with μₜ = β₁ (1 - ½ 0.96^(t momentum_decay)).
class NAdam : public RuleOptimizer<NAdamOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
