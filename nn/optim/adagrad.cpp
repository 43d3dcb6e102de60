#include "nn/optim/adagrad.hpp"

#include "nn/optim/isa/updates.hpp"

namespace nn::optim {

Adagrad::Adagrad(const ag::TensorList& params, const AdagradOptions& options)
    : Adagrad(std::vector<Group>{{params, options}}) {}

Adagrad::Adagrad(const std::vector<Group>& groups) : GroupedOptimizer("Adagrad", {"sum"}) {
  add_param_groups(groups);
}

void Adagrad::update(const AdagradOptions& o, Slot& slot, const ag::Tensor& gradient) const {
  ag::dispatch_floating(name(), gradient.dtype(), [&]<class T>(T) {
    const double lr = o.lr / (1 + static_cast<double>(slot.steps - 1) * o.lr_decay);
    const kernels::AdagradStep<T> step{.lr = static_cast<T>(lr),
                                       .eps = static_cast<T>(o.eps),
                                       .weight_decay = static_cast<T>(o.weight_decay),
                                       .sign = static_cast<T>(o.maximize ? -1 : 1)};
    kernels::updates(T{}).adagrad(slot.parameter.mutable_data<T>(), gradient.data<T>(),
                                  slot.buffer<T>(0, o.initial_accumulator_value), gradient.numel(),
                                  step);
  });
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
