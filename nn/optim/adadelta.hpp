#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;  ///< decay of the means of g² and of squared steps, in [0, 1]
  double eps = 1e-6;
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  bool maximize = false;    ///< ascend instead
};

extern template class RuleOptimizer<AdadeltaOptions>;

/// Adadelta (Zeiler 2012): p ← p - lr d, with d = g √(u + eps) / √(v + eps), v the running mean of
/// g² and u that of d².
class Adadelta : public RuleOptimizer<AdadeltaOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
