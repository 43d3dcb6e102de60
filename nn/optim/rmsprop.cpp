#include "nn/optim/rmsprop.hpp"

#include "nn/optim/isa/chunks.hpp"

namespace nn::optim {

RMSprop::RMSprop(const ag::TensorList& params, const RMSpropOptions& options)
    : RMSprop(std::vector<Group>{{params, options}}) {}

RMSprop::RMSprop(const std::vector<Group>& groups)
    : MultiTensorOptimizer("RMSprop", {"square_avg", "grad_avg", "momentum_buffer"}) {
  add_param_groups(groups);
}

void RMSprop::update_all(const RMSpropOptions& o, std::span<const Update> updates) const {
  kernels::update_all<kernels::RmsPropStep>(
      updates, [](const Slot&) { return 0; },
      [&]<class T>(T, std::int64_t) {
        return kernels::RmsPropStep<T>{.lr = static_cast<T>(o.lr),
                                       .alpha = static_cast<T>(o.alpha),
                                       .rest = static_cast<T>(1 - o.alpha),
                                       .eps = static_cast<T>(o.eps),
                                       .weight_decay = static_cast<T>(o.weight_decay),
                                       .momentum = static_cast<T>(o.momentum),
                                       .sign = static_cast<T>(o.maximize ? -1 : 1)};
      },
      [&]<class T>(T, Slot& slot) -> std::array<T*, 3> {
        return {slot.buffer<T>(0), o.centered ? slot.buffer<T>(1) : nullptr,
                o.momentum > 0 ? slot.buffer<T>(2) : nullptr};
      },
      [](const auto& table) { return table.rmsprop; });
}

void RMSprop::visit_options(RMSpropOptions& o, OptionVisitor& visitor) const {
  visitor("lr", o.lr);
  visitor("alpha", o.alpha);
  visitor("eps", o.eps);
  visitor("weight_decay", o.weight_decay);
  visitor("momentum", o.momentum);
  visitor("centered", o.centered);
  visitor("maximize", o.maximize);
}

void RMSprop::check_options(const RMSpropOptions& o) const {
  check_not_negative("lr", o.lr);
  check_not_negative("alpha", o.alpha);
  check_not_negative("eps", o.eps);
  check_not_negative("weight_decay", o.weight_decay);
  check_not_negative("momentum", o.momentum);
}

}  // namespace nn::optim
