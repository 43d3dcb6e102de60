#pragma once

#include <utility>
#include <vector>

#include "nn/module/module.hpp"

namespace nn::detail {

/// Switches a model to evaluation for a scope, and each of its parts back to its own mode after it.
class Evaluating {
 public:
  explicit Evaluating(Module& model) {
    for (const NamedModule& m : model.named_modules())
      modes_.emplace_back(&m.module, m.module.is_training());
    model.eval();
  }
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;
  // Parents first: their train() reaches the children, which then get their own mode.
  ~Evaluating() {
    for (const auto& [module, training] : modes_) module->train(training);
  }

 private:
  std::vector<std::pair<Module*, bool>> modes_;
};

}  // namespace nn::detail
