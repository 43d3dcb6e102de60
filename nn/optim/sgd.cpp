#include "nn/optim/sgd.hpp"

#include "autograd/core/errors.hpp"
#include "nn/optim/isa/chunks.hpp"

namespace nn::optim {

SGD::SGD(const ag::TensorList& params, const SGDOptions& options)
    : SGD(std::vector<Group>{{params, options}}) {}

SGD::SGD(const std::vector<Group>& groups) : MultiTensorOptimizer("SGD", {"momentum_buffer"}) {
  add_param_groups(groups);
}

void SGD::update_all(const SGDOptions& o, std::span<const Update> updates) const {
  const bool momentum = o.momentum != 0;
  kernels::update_all<kernels::SgdStep>(
      updates, [](const Slot& slot) { return slot.buffers[0].defined() ? 1 : 0; },
      [&]<class T>(T, std::int64_t begun) {
        return kernels::SgdStep<T>{.lr = static_cast<T>(o.lr),
                                   .weight_decay = static_cast<T>(o.weight_decay),
                                   .momentum = static_cast<T>(o.momentum),
                                   .fresh = static_cast<T>(begun ? 1 - o.dampening : 1),
                                   .sign = static_cast<T>(o.maximize ? -1 : 1),
                                   .nesterov = o.nesterov};
      },
      [&]<class T>(T, Slot& slot) -> std::array<T*, 3> {
        return {momentum ? slot.buffer<T>(0) : nullptr};
      },
      [](const auto& table) { return table.sgd; });
}

void SGD::visit_options(SGDOptions& o, OptionVisitor& visitor) const {
  visitor("lr", o.lr);
  visitor("momentum", o.momentum);
  visitor("dampening", o.dampening);
  visitor("weight_decay", o.weight_decay);
  visitor("nesterov", o.nesterov);
  visitor("maximize", o.maximize);
}

void SGD::check_options(const SGDOptions& o) const {
  check_not_negative("lr", o.lr);
  check_not_negative("momentum", o.momentum);
  check_not_negative("weight_decay", o.weight_decay);
  if (o.nesterov && (!(o.momentum > 0) || o.dampening != 0))
    ag::fail(name(),
             "nesterov needs momentum > 0 and dampening 0, got momentum {} and dampening {}",
             o.momentum, o.dampening);
}

}  // namespace nn::optim
