#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening =
      0;  ///< the share of the gradient that momentum leaves out, from the second step
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  bool nesterov = false;    ///< needs momentum > 0 and no dampening
  bool maximize = false;    ///< ascend instead
};

extern template class RuleOptimizer<SGDOptions>;

/// Stochastic gradient descent: p ← p - lr b, with b ← momentum b + (1 - dampening) g (Sutskever et
/// al. 2013, in PyTorch's form).
class SGD : public RuleOptimizer<SGDOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
