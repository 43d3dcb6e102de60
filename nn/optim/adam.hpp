#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct AdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};  ///< decay of the means of g and g², in [0, 1)
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  bool amsgrad = false;     ///< divide by the largest mean of g² so far (Reddi et al. 2018)
  bool maximize = false;    ///< ascend instead
};

struct AdamWOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};  ///< decay of the means of g and g², in [0, 1)
  double eps = 1e-8;
  double weight_decay =
      1e-2;               ///< shrinks the parameter by lr * weight_decay, apart from the gradient
  bool amsgrad = false;   ///< divide by the largest mean of g² so far (Reddi et al. 2018)
  bool maximize = false;  ///< ascend instead
};

extern template class RuleOptimizer<AdamOptions>;
extern template class RuleOptimizer<AdamWOptions>;

/// Adam (Kingma & Ba 2015): p ← p - lr m̂ / (√v̂ + eps), with bias-corrected means m̂ and v̂ of g and
/// g².
class Adam : public RuleOptimizer<AdamOptions> {
  using RuleOptimizer::RuleOptimizer;
};

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019): p ← (1 - lr weight_decay) p, then
/// Adam's step.
class AdamW : public RuleOptimizer<AdamWOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
