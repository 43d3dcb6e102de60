#include "nn/optim/adagrad.hpp"

#include "nn/optim/isa/chunks.hpp"

namespace nn::optim {

Adagrad::Adagrad(const ag::TensorList& params, const AdagradOptions& options)
    : Adagrad(std::vector<Group>{{params, options}}) {}

Adagrad::Adagrad(const std::vector<Group>& groups) : MultiTensorOptimizer("Adagrad", {"sum"}) {
  add_param_groups(groups);
}

void Adagrad::update_all(const AdagradOptions& o, std::span<const Update> updates) const {
  kernels::update_all<kernels::AdagradStep>(
      updates, [](const Slot& slot) { return slot.steps; },
      [&]<class T>(T, std::int64_t steps) {
        const double lr = o.lr / (1 + static_cast<double>(steps - 1) * o.lr_decay);
        return kernels::AdagradStep<T>{.lr = static_cast<T>(lr),
                                       .eps = static_cast<T>(o.eps),
                                       .weight_decay = static_cast<T>(o.weight_decay),
                                       .sign = static_cast<T>(o.maximize ? -1 : 1)};
      },
      [&]<class T>(T, Slot& slot) -> std::array<T*, 3> {
        return {slot.buffer<T>(0, o.initial_accumulator_value)};
      },
      [](const auto& table) { return table.adagrad; });
}

void Adagrad::visit_options(AdagradOptions& o, OptionVisitor& visitor) const {
  visitor("lr", o.lr);
  visitor("lr_decay", o.lr_decay);
  visitor("weight_decay", o.weight_decay);
  visitor("initial_accumulator_value", o.initial_accumulator_value);
  visitor("eps", o.eps);
  visitor("maximize", o.maximize);
}

void Adagrad::check_options(const AdagradOptions& o) const {
  check_not_negative("lr", o.lr);
  check_not_negative("lr_decay", o.lr_decay);
  check_not_negative("weight_decay", o.weight_decay);
  check_not_negative("initial_accumulator_value", o.initial_accumulator_value);
  check_not_negative("eps", o.eps);
}

}  // namespace nn::optim
