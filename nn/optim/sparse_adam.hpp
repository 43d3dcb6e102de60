#pragma once

#include "nn/optim/rule_optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

struct SparseAdamOptions {
  double lr = 1e-3;
  std::pair<double, double> betas = {0.9, 0.999};  ///< decay of the means of g and g², in [0, 1)
  double eps = 1e-8;
  bool maximize = false;  ///< ascend instead
};

extern template class RuleOptimizer<SparseAdamOptions>;

/// The lazy Adam, for gradients that are rows, as those of lookups in a table are: a step goes over
/// the rows that have a gradient, and the others keep their values and their means. On step t, with
/// m and v the means of g and g² of a row: p ← p - lr √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + eps). Throws
/// for dense gradients.
class SparseAdam : public RuleOptimizer<SparseAdamOptions> {
  using RuleOptimizer::RuleOptimizer;
};

}  // namespace nn::optim

#pragma GCC visibility pop
