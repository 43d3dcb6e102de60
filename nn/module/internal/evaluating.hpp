#pragma once

#include <utility>
#include <vector>

#include "nn/module/module.hpp"

namespace nn::detail {

/// Switches a model to evaluation for a scope, if a part of it is not, and each of its parts back to
/// its own mode after it; null: nothing.
class Evaluating {
 public:
  explicit Evaluating(Module* model) {
    if (!model) return;
    for (const NamedModule& m : model->named_modules())
      modes_.emplace_back(&m.module, m.module.is_training());
    for (const auto& [module, training] : modes_) changed_ = changed_ || training;
    if (changed_) model->eval();
  }
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;
  // Parents first: their train() reaches the children, which then get their own mode.
  ~Evaluating() {
    if (!changed_) return;
    for (const auto& [module, training] : modes_) module->train(training);
  }

 private:
  std::vector<std::pair<Module*, bool>> modes_;
  bool changed_ = false;
};

}  // namespace nn::detail
