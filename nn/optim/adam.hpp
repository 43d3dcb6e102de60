#pragma once

#include "nn/optim/optimizer.hpp"

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

/// What `Adam` and `AdamW` share.
template <class Options>
class AdamRule : public MultiTensorOptimizer<Options> {
 public:
  using Group = ParamGroup<Options>;
  explicit AdamRule(const ag::TensorList& params, const Options& options = {});
  explicit AdamRule(const std::vector<Group>& groups);

 private:
  void update_all(const Options& o, std::span<const Optimizer::Update> updates) const override;
  void visit_options(Options& o, OptionVisitor& visitor) const override;
  void check_options(const Options& o) const override;
};

extern template class AdamRule<AdamOptions>;
extern template class AdamRule<AdamWOptions>;

/// Adam (Kingma & Ba 2015): p ← p - lr m̂ / (√v̂ + eps), with bias-corrected means m̂ and v̂ of g and
/// g².
class Adam : public AdamRule<AdamOptions> {
  using AdamRule::AdamRule;
};

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019): p ← (1 - lr weight_decay) p, then
/// Adam's step.
class AdamW : public AdamRule<AdamWOptions> {
  using AdamRule::AdamRule;
};

}  // namespace nn::optim
