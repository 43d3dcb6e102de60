#pragma once

#include "nn/optim/optimizer.hpp"

namespace nn::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;      ///< step t (from 0) uses lr / (1 + t lr_decay)
  double weight_decay = 0;  ///< added to the gradient, times the parameter
  double initial_accumulator_value = 0;
  double eps = 1e-10;
  bool maximize = false;  ///< ascend instead
};

/// Adagrad (Duchi et al. 2011): p ← p - lr g / (√s + eps), s the sum of g² so far.
class Adagrad : public MultiTensorOptimizer<AdagradOptions> {
 public:
  explicit Adagrad(const ag::TensorList& params, const AdagradOptions& options = {});
  explicit Adagrad(const std::vector<Group>& groups);

 private:
  void update_all(const AdagradOptions& o, std::span<const Update> updates) const override;
  void visit_options(AdagradOptions& o, OptionVisitor& visitor) const override;
  void check_options(const AdagradOptions& o) const override;
};

}  // namespace nn::optim
