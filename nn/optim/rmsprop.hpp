#pragma once

#include "nn/optim/optimizer.hpp"

namespace nn::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;  ///< decay of the mean of g²
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  double momentum = 0;
  bool centered = false;  ///< divide by the deviation of g from its mean
  bool maximize = false;  ///< ascend instead
};

/// RMSprop (Hinton's lectures; centered: Graves 2013): p ← p - lr g / (√v + eps), v the running
/// mean of g².
class RMSprop : public MultiTensorOptimizer<RMSpropOptions> {
 public:
  explicit RMSprop(const ag::TensorList& params, const RMSpropOptions& options = {});
  explicit RMSprop(const std::vector<Group>& groups);

 private:
  void update_all(const RMSpropOptions& o, std::span<const Update> updates) const override;
  void visit_options(RMSpropOptions& o, OptionVisitor& visitor) const override;
  void check_options(const RMSpropOptions& o) const override;
};

}  // namespace nn::optim
