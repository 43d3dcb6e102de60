#include "nn/training/update_bn.hpp"

namespace nn::detail {

AveragingNorms::AveragingNorms(Module& model) {
  for (const NamedModule& m : model.named_modules()) {
    modes_.emplace_back(&m.module, m.module.is_training());
    auto* norm = dynamic_cast<BatchNorm*>(&m.module);
    if (norm && norm->running_mean.defined()) norms_.emplace_back(norm, norm->momentum());
  }
  if (norms_.empty()) return;
  model.train();
  for (const auto& [norm, momentum] : norms_) norm->set_momentum(std::nullopt);
}

// Parents first: their train() reaches the children, which then get their own mode.
AveragingNorms::~AveragingNorms() {
  if (norms_.empty()) return;
  for (const auto& [module, training] : modes_) module->train(training);
  for (const auto& [norm, momentum] : norms_) norm->set_momentum(momentum);
}

void AveragingNorms::next() {
  if (!begun_)
    for (const auto& [norm, momentum] : norms_) norm->reset_running_stats();
  begun_ = true;
}

void AveragingNorms::finish() const {
  if (!begun_) ag::fail("update_bn", "the loader must have a batch, got none");
}

}  // namespace nn::detail
