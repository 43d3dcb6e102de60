#include "nn/optim/cyclic_schedulers.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/core/errors.hpp"

namespace nn::optim {
namespace {

void check_at_least(std::string_view name, std::string_view option, std::int64_t value,
                    std::int64_t least) {
  if (value < least) ag::fail(name, "{} must be at least {}, got {}", option, least, value);
}

// One value, or one for each group; in the range.
void check_groups(std::string_view name, std::string_view option, const PerGroup& values,
                  const Optimizer& optimizer, const Range& range) {
  const std::size_t count = values.values().size();
  if (count != 1 && count != optimizer.group_count())
    ag::fail(name, "{} needs one value or one for each of the {} groups, got {}", option,
             optimizer.group_count(), count);
  for (const double value : values.values())
    if (!range.holds(value) || std::isinf(value))
      ag::fail(name, "{} must be {}, got {}", option, range.words, value);
}

template <class Options>
void check_momenta(std::string_view name, const Options& o, const Optimizer& optimizer) {
  if (!o.cycle_momentum) return;
  check_groups(name, "base_momentum", o.base_momentum, optimizer, not_negative);
  check_groups(name, "max_momentum", o.max_momentum, optimizer, not_negative);
  if (!optimizer.momentum())
    ag::fail(name, "needs an optimizer with momentum or betas, got {}; set cycle_momentum to false",
             optimizer.str());
}

// Groups may have been added since the values were given.
double value_of(std::string_view name, std::string_view option, const PerGroup& values,
                std::size_t group) {
  const std::size_t count = values.values().size();
  if (count > 1 && group >= count)
    ag::fail(name, "{} needs one value for each group, got {} for group {}", option, count, group);
  return values[group];
}

}  // namespace

OneCycleLR::OneCycleLR(Optimizer& optimizer, const OneCycleLROptions& options)
    : Scheduler("OneCycleLR", optimizer), o_(options) {
  if (o_.total_steps == 0) {
    if (o_.epochs < 1 || o_.steps_per_epoch < 1 || o_.epochs > INT64_MAX / o_.steps_per_epoch)
      ag::fail(name(), "needs total_steps, or epochs and steps_per_epoch above 0, got {} and {}",
               o_.epochs, o_.steps_per_epoch);
    o_.total_steps = o_.epochs * o_.steps_per_epoch;
  }
  check_at_least(name(), "total_steps", o_.total_steps, 1);
  if (!fraction.holds(o_.pct_start))
    ag::fail(name(), "pct_start must be {}, got {}", fraction.words, o_.pct_start);
  for (const auto& [option, value] :
       {std::pair("div_factor", o_.div_factor), std::pair("final_div_factor", o_.final_div_factor)})
    if (!(value > 0)) ag::fail(name(), "{} must be above 0, got {}", option, value);
  check_groups(name(), "max_lr", o_.max_lr, optimizer, not_negative);
  check_momenta(name(), o_, optimizer);
  apply();
}

// From `first` to `top`, back to it if there are three phases, and to `last`. A phase ends one step
// before its part of all steps is over, as in PyTorch.
double OneCycleLR::along(std::int64_t epoch, double first, double top, double last) const {
  struct Phase {
    double end, from, to;
  };
  const auto total = static_cast<double>(o_.total_steps);
  const double rise = o_.pct_start * total;
  ag::InlineVector<Phase, 3> phases{Phase{rise - 1, first, top}};
  if (o_.three_phase) phases.push_back({2 * rise - 2, top, first});
  phases.push_back({total - 1, o_.three_phase ? first : top, last});
  const auto t = static_cast<double>(std::min(epoch, o_.total_steps - 1));
  double start = 0;
  const Phase* phase = phases.begin();
  for (; t > phase->end && phase + 1 != phases.end(); ++phase) start = phase->end;
  const auto [end, from, to] = *phase;
  const double share = end > start ? (t - start) / (end - start) : 1;
  if (o_.anneal_strategy == AnnealStrategy::linear) return (to - from) * share + from;
  return to + (from - to) / 2 * (std::cos(std::numbers::pi * share) + 1);
}

double OneCycleLR::lr_at(std::int64_t epoch, double, std::size_t group) const {
  const double top = value_of(name(), "max_lr", o_.max_lr, group), first = top / o_.div_factor;
  return along(epoch, first, top, first / o_.final_div_factor);
}

std::optional<double> OneCycleLR::momentum_at(std::int64_t epoch, std::size_t group) const {
  if (!o_.cycle_momentum) return {};
  const double most = value_of(name(), "max_momentum", o_.max_momentum, group);
  const double least = value_of(name(), "base_momentum", o_.base_momentum, group);
  return along(epoch, most, least, most);
}

CyclicLR::CyclicLR(Optimizer& optimizer, const CyclicLROptions& options)
    : Scheduler("CyclicLR", optimizer), o_(options) {
  check_at_least(name(), "step_size_up", o_.step_size_up, 1);
  check_at_least(name(), "step_size_down", o_.step_size_down, 0);
  if (o_.step_size_down == 0) o_.step_size_down = o_.step_size_up;
  check_groups(name(), "base_lr", o_.base_lr, optimizer, not_negative);
  check_groups(name(), "max_lr", o_.max_lr, optimizer, not_negative);
  check_momenta(name(), o_, optimizer);
  apply();
}

// How far up a step is, from 0 to 1 if the scale is 1.
double CyclicLR::height(std::int64_t epoch) const {
  const auto t = static_cast<double>(epoch), up = static_cast<double>(o_.step_size_up);
  const double total = up + static_cast<double>(o_.step_size_down), ratio = up / total;
  const double cycle = std::floor(1 + t / total), x = 1 + t / total - cycle;
  const double part = x <= ratio ? x / ratio : (x - 1) / (ratio - 1);
  if (o_.scale_fn) return part * o_.scale_fn(o_.scale_mode == ScaleMode::cycle ? cycle : t);
  switch (o_.mode) {
    case CyclicMode::triangular2:
      return part * std::pow(2, 1 - cycle);
    case CyclicMode::exp_range:
      return part * std::pow(o_.gamma, t);
    default:
      return part;
  }
}

double CyclicLR::lr_at(std::int64_t epoch, double, std::size_t group) const {
  const double low = value_of(name(), "base_lr", o_.base_lr, group);
  return low + (value_of(name(), "max_lr", o_.max_lr, group) - low) * height(epoch);
}

std::optional<double> CyclicLR::momentum_at(std::int64_t epoch, std::size_t group) const {
  if (!o_.cycle_momentum) return {};
  const double high = value_of(name(), "max_momentum", o_.max_momentum, group);
  return high - (high - value_of(name(), "base_momentum", o_.base_momentum, group)) * height(epoch);
}

CosineAnnealingWarmRestarts::CosineAnnealingWarmRestarts(
    Optimizer& optimizer, const CosineAnnealingWarmRestartsOptions& options)
    : Scheduler("CosineAnnealingWarmRestarts", optimizer), o_(options) {
  check_at_least(name(), "T_0", o_.T_0, 1);
  check_at_least(name(), "T_mult", o_.T_mult, 1);
  apply();
}

double CosineAnnealingWarmRestarts::lr_at(std::int64_t epoch, double base_lr, std::size_t) const {
  std::int64_t period = o_.T_0, t = epoch;
  if (o_.T_mult == 1) t %= period;
  while (t >= period) {
    t -= period;
    if (period > INT64_MAX / o_.T_mult) break;  // no count of steps gets to its end
    period *= o_.T_mult;
  }
  const double share = static_cast<double>(t) / static_cast<double>(period);
  return o_.eta_min + (base_lr - o_.eta_min) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

SWALR::SWALR(Optimizer& optimizer, const SWALROptions& options)
    : SWALR(optimizer, options, nullptr, 0) {}

SWALR::SWALR(Optimizer& optimizer, const SWALROptions& options, const Scheduler& first,
             std::int64_t swa_start)
    : SWALR(optimizer, options, &first, swa_start) {}

SWALR::SWALR(Optimizer& optimizer, const SWALROptions& options, const Scheduler* first,
             std::int64_t swa_start)
    : Scheduler("SWALR", optimizer), o_(options), first_(first), start_(swa_start) {
  check_groups(name(), "swa_lr", o_.swa_lr, optimizer, not_negative);
  check_at_least(name(), "anneal_epochs", o_.anneal_epochs, 0);
  check_at_least(name(), "swa_start", start_, 0);
  if (first_ && &first_->optimizer() != &optimizer)
    ag::fail(name(), "all schedulers must have the same optimizer, got one of another");
  apply();
}

double SWALR::lr_at(std::int64_t epoch, double base_lr, std::size_t group) const {
  if (first_ && epoch < start_) return first_->lr_at(epoch, base_lr, group);
  const double from = first_ ? first_->lr_at(start_, base_lr, group) : base_lr,
               to = value_of(name(), "swa_lr", o_.swa_lr, group);
  if (epoch - start_ >= o_.anneal_epochs) return to;
  const double t = static_cast<double>(epoch - start_) / static_cast<double>(o_.anneal_epochs);
  const bool linear = o_.anneal_strategy == AnnealStrategy::linear;
  const double share = linear ? t : (1 - std::cos(std::numbers::pi * t)) / 2;
  return to * share + from * (1 - share);
}

std::optional<double> SWALR::momentum_at(std::int64_t epoch, std::size_t group) const {
  return first_ ? first_->momentum_at(std::min(epoch, start_), group) : std::nullopt;
}

}  // namespace nn::optim
