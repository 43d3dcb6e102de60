#include "nn/optim/schedulers.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/tape/grad_mode.hpp"

namespace nn::optim {
namespace {

// Linear from `start` at step 0 to `end` at step `total`.
double ramp(std::int64_t epoch, std::int64_t total, double start, double end) {
  if (epoch >= total) return end;
  return start + (end - start) * static_cast<double>(epoch) / static_cast<double>(total);
}

void check_start_factor(std::string_view name, double value) {
  if (!(value > 0 && value <= 1))
    ag::fail(name, "start_factor must be above 0 and at most 1, got {}", value);
}

void check_same_optimizer(std::string_view name, const Optimizer& optimizer,
                          const Scheduler& other) {
  if (&other.optimizer() != &optimizer)
    ag::fail(name, "all schedulers must have the same optimizer, got one of another");
}

}  // namespace

void Scheduler::step() {
  watched_.used(name_);
  ag::perform(name_, {}, {}, [this](const ag::TensorList&, const ag::TensorList&) {
    if (epoch_ == INT64_MAX) ag::fail(name_, "the steps must fit in 63 bits, got one more");
    watched_.change("step()", "");
    ++epoch_;
    apply();
  });
}

void Scheduler::apply() {
  for (std::size_t i = 0; i < optimizer_.group_count(); ++i)
    optimizer_.set_lr(lr_at(epoch_, optimizer_.initial_lr(i), i), i);
  apply_momentum();
}

void Scheduler::apply_momentum() {
  for (std::size_t i = 0; i < optimizer_.group_count(); ++i)
    if (const auto momentum = momentum_at(epoch_, i)) optimizer_.set_momentum(*momentum, i);
}

std::optional<double> Scheduler::momentum_at(std::int64_t, std::size_t) const { return {}; }

StateDict Scheduler::state_dict() const {
  ag::detail::refuse_in_trace("the state_dict() of a schedule", "take it outside");
  StateDict state{named_scalar("last_epoch", epoch_)};
  for (std::size_t i = 0; i < optimizer_.group_count(); ++i) {
    state.push_back(named_scalar(fmt::format("base_lrs.{}", i), optimizer_.initial_lr(i)));
    state.push_back(named_scalar(fmt::format("lrs.{}", i), optimizer_.lr(i)));
  }
  sign_state(state, name_);
  return state;
}

void Scheduler::load_state_dict(const StateDict& state) {
  watched_.change("load_state_dict() of a schedule", "load it outside");
  StateReader reader{std::string(name_), state};
  reader.check_signature();
  const std::int64_t epoch = reader.integer("last_epoch");
  if (epoch < 0) ag::fail(name_, "'last_epoch' must be at least 0, got {}", epoch);
  const auto rates = [&](std::string_view what) {
    std::vector<double> list;
    for (std::size_t i = 0; i < optimizer_.group_count(); ++i) {
      const std::string entry = fmt::format("{}.{}", what, i);
      list.push_back(reader.number(entry));
      if (!(list.back() >= 0))
        ag::fail(name_, "'{}' must be at least 0, got {}", entry, list.back());
    }
    return list;
  };
  const std::vector<double> base_lrs = rates("base_lrs"), lrs = rates("lrs");
  reader.finish();
  epoch_ = epoch;
  // Making a schedule has set the rates of step 0, perhaps after the optimizer was loaded.
  for (std::size_t i = 0; i < lrs.size(); ++i) {
    optimizer_.set_initial_lr(base_lrs[i], i);
    optimizer_.set_lr(lrs[i], i);
  }
  apply_momentum();
}

StepLR::StepLR(Optimizer& optimizer, const StepLROptions& options)
    : Scheduler("StepLR", optimizer), o_(options) {
  if (o_.step_size < 1) ag::fail(name(), "step_size must be at least 1, got {}", o_.step_size);
  apply();
}

double StepLR::lr_at(std::int64_t epoch, double base_lr, std::size_t) const {
  const std::int64_t steps = epoch / o_.step_size;
  return base_lr * std::pow(o_.gamma, static_cast<double>(steps));
}

MultiStepLR::MultiStepLR(Optimizer& optimizer, const MultiStepLROptions& options)
    : Scheduler("MultiStepLR", optimizer), o_(options) {
  std::sort(o_.milestones.begin(), o_.milestones.end());
  apply();
}

double MultiStepLR::lr_at(std::int64_t epoch, double base_lr, std::size_t) const {
  const auto& m = o_.milestones;
  const auto passed = std::upper_bound(m.begin(), m.end(), epoch) - m.begin();
  return base_lr * std::pow(o_.gamma, static_cast<double>(passed));
}

ExponentialLR::ExponentialLR(Optimizer& optimizer, const ExponentialLROptions& options)
    : Scheduler("ExponentialLR", optimizer), o_(options) {
  apply();
}

double ExponentialLR::lr_at(std::int64_t epoch, double base_lr, std::size_t) const {
  return base_lr * std::pow(o_.gamma, static_cast<double>(epoch));
}

CosineAnnealingLR::CosineAnnealingLR(Optimizer& optimizer, const CosineAnnealingLROptions& options)
    : Scheduler("CosineAnnealingLR", optimizer), o_(options) {
  if (o_.T_max < 1) ag::fail(name(), "T_max must be at least 1, got {}", o_.T_max);
  apply();
}

double CosineAnnealingLR::lr_at(std::int64_t epoch, double base_lr, std::size_t) const {
  const double t = static_cast<double>(epoch) / static_cast<double>(o_.T_max);
  return o_.eta_min + (base_lr - o_.eta_min) * (1 + std::cos(std::numbers::pi * t)) / 2;
}

LinearLR::LinearLR(Optimizer& optimizer, const LinearLROptions& options)
    : Scheduler("LinearLR", optimizer), o_(options) {
  check_start_factor(name(), o_.start_factor);
  if (!(o_.end_factor >= 0 && o_.end_factor <= 1))
    ag::fail(name(), "end_factor must be at least 0 and at most 1, got {}", o_.end_factor);
  if (o_.total_iters < 1)
    ag::fail(name(), "total_iters must be at least 1, got {}", o_.total_iters);
  apply();
}

double LinearLR::lr_at(std::int64_t epoch, double base_lr, std::size_t) const {
  return base_lr * ramp(epoch, o_.total_iters, o_.start_factor, o_.end_factor);
}

LambdaLR::LambdaLR(Optimizer& optimizer, Factor factor)  // NOLINT: as declared, by value
    : LambdaLR(optimizer, std::vector<Factor>(optimizer.group_count(), factor)) {}

LambdaLR::LambdaLR(Optimizer& optimizer, std::vector<Factor> factors)
    : Scheduler("LambdaLR", optimizer), factors_(std::move(factors)) {
  if (factors_.size() != optimizer.group_count())
    ag::fail(name(), "needs one function for each of the {} groups, got {}",
             optimizer.group_count(), factors_.size());
  for (const auto& f : factors_)
    if (!f) ag::fail(name(), "needs functions to call, got an empty one");
  apply();
}

double LambdaLR::lr_at(std::int64_t epoch, double base_lr, std::size_t group) const {
  if (group >= factors_.size())
    ag::fail(name(), "needs one function for each group, got {} for group {}", factors_.size(),
             group);
  return base_lr * factors_[group](epoch);
}

SequentialLR::SequentialLR(Optimizer& optimizer, std::vector<const Scheduler*> schedulers,
                           std::vector<std::int64_t> milestones)
    : Scheduler("SequentialLR", optimizer),
      schedulers_(std::move(schedulers)),
      milestones_(std::move(milestones)) {
  if (schedulers_.size() != milestones_.size() + 1)
    ag::fail(name(), "needs one scheduler more than milestones, got {} and {}", schedulers_.size(),
             milestones_.size());
  if (!std::is_sorted(milestones_.begin(), milestones_.end()))
    ag::fail(name(), "milestones must not decrease, got {}", fmt::join(milestones_, ", "));
  for (const auto* s : schedulers_) {
    if (!s) ag::fail(name(), "needs schedulers to run, got a null pointer");
    check_same_optimizer(name(), optimizer, *s);
  }
  apply();
}

std::pair<const Scheduler&, std::int64_t> SequentialLR::running(std::int64_t epoch) const {
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), epoch);
  const auto start = next == milestones_.begin() ? 0 : *(next - 1);
  return {*schedulers_[static_cast<std::size_t>(next - milestones_.begin())], epoch - start};
}

double SequentialLR::lr_at(std::int64_t epoch, double base_lr, std::size_t group) const {
  const auto [scheduler, own_epoch] = running(epoch);
  return scheduler.lr_at(own_epoch, base_lr, group);
}

std::optional<double> SequentialLR::momentum_at(std::int64_t epoch, std::size_t group) const {
  const auto [scheduler, own_epoch] = running(epoch);
  return scheduler.momentum_at(own_epoch, group);
}

LinearWarmup::LinearWarmup(Optimizer& optimizer, const LinearWarmupOptions& options)
    : LinearWarmup(optimizer, options, nullptr) {}

LinearWarmup::LinearWarmup(Optimizer& optimizer, const LinearWarmupOptions& options,
                           const Scheduler& then)
    : LinearWarmup(optimizer, options, &then) {}

LinearWarmup::LinearWarmup(Optimizer& optimizer, const LinearWarmupOptions& options,
                           const Scheduler* then)
    : Scheduler("LinearWarmup", optimizer), o_(options), then_(then) {
  check_start_factor(name(), o_.start_factor);
  if (o_.steps < 0) ag::fail(name(), "steps must be at least 0, got {}", o_.steps);
  if (then_) check_same_optimizer(name(), optimizer, *then_);
  apply();
}

double LinearWarmup::lr_at(std::int64_t epoch, double base_lr, std::size_t group) const {
  if (epoch < o_.steps) return base_lr * ramp(epoch, o_.steps, o_.start_factor, 1);
  return then_ ? then_->lr_at(epoch - o_.steps, base_lr, group) : base_lr;
}

std::optional<double> LinearWarmup::momentum_at(std::int64_t epoch, std::size_t group) const {
  return then_ && epoch >= o_.steps ? then_->momentum_at(epoch - o_.steps, group) : std::nullopt;
}

PolynomialLR::PolynomialLR(Optimizer& optimizer, const PolynomialLROptions& options)
    : Scheduler("PolynomialLR", optimizer), o_(options) {
  if (o_.total_iters < 1)
    ag::fail(name(), "total_iters must be at least 1, got {}", o_.total_iters);
  if (!(o_.power >= 0)) ag::fail(name(), "power must be at least 0, got {}", o_.power);
  apply();
}

double PolynomialLR::lr_at(std::int64_t epoch, double base_lr, std::size_t) const {
  const auto t = static_cast<double>(std::min(epoch, o_.total_iters));
  return base_lr * std::pow(1 - t / static_cast<double>(o_.total_iters), o_.power);
}

ChainedScheduler::ChainedScheduler(Optimizer& optimizer, std::vector<const Scheduler*> schedulers)
    : Scheduler("ChainedScheduler", optimizer), schedulers_(std::move(schedulers)) {
  if (schedulers_.empty()) ag::fail(name(), "needs schedulers to run, got none");
  for (const Scheduler* s : schedulers_) {
    if (!s) ag::fail(name(), "needs schedulers to run, got a null pointer");
    check_same_optimizer(name(), optimizer, *s);
  }
  apply();
}

double ChainedScheduler::lr_at(std::int64_t epoch, double base_lr, std::size_t group) const {
  for (const Scheduler* s : schedulers_) base_lr = s->lr_at(epoch, base_lr, group);
  return base_lr;
}

std::optional<double> ChainedScheduler::momentum_at(std::int64_t epoch, std::size_t group) const {
  std::optional<double> momentum;
  for (const Scheduler* s : schedulers_)
    if (const auto own = s->momentum_at(epoch, group)) momentum = own;
  return momentum;
}

}  // namespace nn::optim
