#pragma once

#include "nn/optim/optimizer.hpp"

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

/// Stochastic gradient descent: p ← p - lr b, with b ← momentum b + (1 - dampening) g (Sutskever et
/// al. 2013, in PyTorch's form).
class SGD : public MultiTensorOptimizer<SGDOptions> {
 public:
  explicit SGD(const ag::TensorList& params, const SGDOptions& options = {});
  explicit SGD(const std::vector<Group>& groups);

 private:
  void update_all(const SGDOptions& o, std::span<const Update> updates) const override;
  void visit_options(SGDOptions& o, OptionVisitor& visitor) const override;
  void check_options(const SGDOptions& o) const override;
};

}  // namespace nn::optim
