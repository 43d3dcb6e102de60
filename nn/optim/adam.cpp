#include "nn/optim/adam.hpp"

#include <cmath>

#include "autograd/core/errors.hpp"
#include "nn/optim/isa/chunks.hpp"

namespace nn::optim {
namespace {

template <class Options>
constexpr bool decoupled = std::same_as<Options, AdamWOptions>;

template <class T, class Options>
kernels::AdamStep<T> adam_step(const Options& o, std::int64_t steps) {
  const auto [beta1, beta2] = o.betas;
  const auto t = static_cast<double>(steps);
  return {.step_size = static_cast<T>(o.lr / (1 - std::pow(beta1, t))),
          .beta1 = static_cast<T>(beta1),
          .beta2 = static_cast<T>(beta2),
          .rest1 = static_cast<T>(1 - beta1),
          .rest2 = static_cast<T>(1 - beta2),
          .root_scale = static_cast<T>(1 / std::sqrt(1 - std::pow(beta2, t))),
          .eps = static_cast<T>(o.eps),
          .weight_decay = static_cast<T>(decoupled<Options> ? 0 : o.weight_decay),
          .shrink = static_cast<T>(decoupled<Options> ? 1 - o.lr * o.weight_decay : 1),
          .sign = static_cast<T>(o.maximize ? -1 : 1)};
}

}  // namespace

template <class Options>
AdamRule<Options>::AdamRule(const ag::TensorList& params, const Options& options)
    : AdamRule(std::vector<Group>{{params, options}}) {}

template <class Options>
AdamRule<Options>::AdamRule(const std::vector<Group>& groups)
    : MultiTensorOptimizer<Options>(decoupled<Options> ? "AdamW" : "Adam",
                                    {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}) {
  this->add_param_groups(groups);
}

template <class Options>
void AdamRule<Options>::update_all(const Options& o,
                                   std::span<const Optimizer::Update> updates) const {
  using Slot = Optimizer::Slot;
  kernels::update_all<kernels::AdamStep>(
      updates, [](const Slot& slot) { return slot.steps; },
      [&]<class T>(T, std::int64_t steps) { return adam_step<T>(o, steps); },
      [&]<class T>(T, Slot& slot) -> std::array<T*, 3> {
        return {slot.template buffer<T>(0), slot.template buffer<T>(1),
                o.amsgrad ? slot.template buffer<T>(2) : nullptr};
      },
      [](const auto& table) { return table.adam; });
}

template <class Options>
void AdamRule<Options>::visit_options(Options& o, OptionVisitor& visitor) const {
  visitor("lr", o.lr);
  visitor("beta1", o.betas.first);
  visitor("beta2", o.betas.second);
  visitor("eps", o.eps);
  visitor("weight_decay", o.weight_decay);
  visitor("amsgrad", o.amsgrad);
  visitor("maximize", o.maximize);
}

template <class Options>
void AdamRule<Options>::check_options(const Options& o) const {
  this->check_not_negative("lr", o.lr);
  this->check_not_negative("eps", o.eps);
  this->check_not_negative("weight_decay", o.weight_decay);
  for (const double beta : {o.betas.first, o.betas.second})
    if (!(beta >= 0 && beta < 1))
      ag::fail(this->name(), "betas must be at least 0 and below 1, got ({}, {})", o.betas.first,
               o.betas.second);
}

template class AdamRule<AdamOptions>;
template class AdamRule<AdamWOptions>;

}  // namespace nn::optim
