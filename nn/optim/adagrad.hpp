#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;      ///< step t (from 0) uses lr / (1 + t lr_decay)
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;  ///< ascend instead
};

extern template class RuleOptimizer<AdagradOptions>;

/// Adagrad (Duchi et al. 2011): p ← p - lr g / (√s + eps), s the sum of g² so far.
class Adagrad : public RuleOptimizer<AdagradOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
