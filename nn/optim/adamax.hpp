#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct AdamaxOptions {
  double lr = 2e-3;
  std::pair<double, double> betas = {0.9, 0.999};  ///< decay of the mean and of the norm, in [0, 1)
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  bool maximize = false;    ///< ascend instead
};

extern template class RuleOptimizer<AdamaxOptions>;

/// Adamax (Kingma & Ba 2015): Adam with u ← max(β₂ u, |g| + eps) in place of the root of the mean
/// of g²: p ← p - lr m̂ / u.
class Adamax : public RuleOptimizer<AdamaxOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
