#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/optim/optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

/// Base of schedules that depend on a count of steps (epochs or batches, as the caller steps them)
/// alone. Making one sets the learning rate of step 0. It must not outlive its optimizer. Combine
/// schedules with `SequentialLR`, `LinearWarmup` or `ChainedScheduler`, not by stepping two of them.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Counts a step and sets the learning rates. Call it after `optimizer.step()`.
  void step();
  /// Steps so far.
  std::int64_t last_epoch() const {
    watched_.asked("the state of a schedule");
    return epoch_;
  }
  /// The learning rate of a group at any step, from its rate before scheduling.
  virtual double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const = 0;
  /// The momentum of a group at any step; none where the schedule leaves it alone.
  virtual std::optional<double> momentum_at(std::int64_t epoch, std::size_t group) const;
  const Optimizer& optimizer() const noexcept { return optimizer_; }

  StateDict state_dict() const;
  /// Continues from what `state_dict()` of the same class gave, with the learning rates of that
  /// moment, whether the optimizer's own state is loaded before or after. Options are not part of
  /// it. Throws, and changes nothing, if the state is another class's or not whole.
  void load_state_dict(const StateDict& state);

 protected:
  Scheduler(std::string_view name, Optimizer& optimizer) : name_(name), optimizer_(optimizer) {}
  /// Sets the learning rates (and momenta) of this step; a derived class ends its constructor with it.
  void apply();
  std::string_view name() const noexcept { return name_; }

 private:
  void apply_momentum();

  std::string_view name_;
  Optimizer& optimizer_;
  std::int64_t epoch_ = 0;
  ag::detail::Watched watched_;
};

struct StepLROptions {
  std::int64_t step_size;
  double gamma = 0.1;
};
/// base · gamma^⌊t / step_size⌋
class StepLR : public Scheduler {
 public:
  StepLR(Optimizer& optimizer, const StepLROptions& options);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  StepLROptions o_;
};

struct MultiStepLROptions {
  std::vector<std::int64_t> milestones;  ///< in any order; one given twice counts twice
  double gamma = 0.1;
};
/// base · gamma^(number of milestones ≤ t)
class MultiStepLR : public Scheduler {
 public:
  MultiStepLR(Optimizer& optimizer, const MultiStepLROptions& options);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  MultiStepLROptions o_;
};

struct ExponentialLROptions {
  double gamma;
};
/// base · gamma^t
class ExponentialLR : public Scheduler {
 public:
  ExponentialLR(Optimizer& optimizer, const ExponentialLROptions& options);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  ExponentialLROptions o_;
};

struct CosineAnnealingLROptions {
  std::int64_t T_max;  ///< steps from base to eta_min; after them the rate climbs again
  double eta_min = 0;
};
/// eta_min + (base - eta_min)(1 + cos(π t / T_max)) / 2 (Loshchilov & Hutter 2017, without
/// restarts)
class CosineAnnealingLR : public Scheduler {
 public:
  CosineAnnealingLR(Optimizer& optimizer, const CosineAnnealingLROptions& options);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  CosineAnnealingLROptions o_;
};

struct LinearLROptions {
  double start_factor = 1.0 / 3;  ///< in (0, 1]
  double end_factor = 1;          ///< in [0, 1]
  std::int64_t total_iters = 5;
};
/// base · a factor that goes from start_factor to end_factor in total_iters steps and stays there
class LinearLR : public Scheduler {
 public:
  LinearLR(Optimizer& optimizer, const LinearLROptions& options = {});
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  LinearLROptions o_;
};

/// base · a function of t, one for all groups or one for each. The functions are not saved.
class LambdaLR : public Scheduler {
 public:
  using Factor = std::function<double(std::int64_t)>;
  LambdaLR(Optimizer& optimizer, Factor factor);
  LambdaLR(Optimizer& optimizer, std::vector<Factor> factors);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  std::vector<Factor> factors_;
};

/// Schedules one after the other: from each milestone on the next one runs, from its own step 0.
/// Step only this one; the others must live as long.
class SequentialLR : public Scheduler {
 public:
  SequentialLR(Optimizer& optimizer, std::vector<const Scheduler*> schedulers,
               std::vector<std::int64_t> milestones);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;
  std::optional<double> momentum_at(std::int64_t epoch, std::size_t group) const override;

 private:
  std::pair<const Scheduler&, std::int64_t> running(std::int64_t epoch) const;
  std::vector<const Scheduler*> schedulers_;
  std::vector<std::int64_t> milestones_;
};

struct LinearWarmupOptions {
  std::int64_t steps;             ///< from the first step at start_factor to the full rate
  double start_factor = 1.0 / 3;  ///< in (0, 1]
};
/// The rate climbs linearly to base in `steps` steps; then `then` runs from its own step 0, or the
/// rate stays. Step only this one; `then` must live as long.
class LinearWarmup : public Scheduler {
 public:
  LinearWarmup(Optimizer& optimizer, const LinearWarmupOptions& options);
  LinearWarmup(Optimizer& optimizer, const LinearWarmupOptions& options, const Scheduler& then);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;
  std::optional<double> momentum_at(std::int64_t epoch, std::size_t group) const override;

 private:
  LinearWarmup(Optimizer& optimizer, const LinearWarmupOptions& options, const Scheduler* then);
  LinearWarmupOptions o_;
  const Scheduler* then_;
};

struct PolynomialLROptions {
  std::int64_t total_iters = 5;
  double power = 1;
};
/// base · (1 - t / total_iters)^power, and 0 from total_iters on
class PolynomialLR : public Scheduler {
 public:
  PolynomialLR(Optimizer& optimizer, const PolynomialLROptions& options = {});
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  PolynomialLROptions o_;
};

/// Schedules at the same time: each scales what the one before it gives. Step only this one; the
/// others must live as long. For schedules that multiply the rate it is PyTorch's; PyTorch's
/// LambdaLR and CosineAnnealingWarmRestarts forget what came before them in the chain.
class ChainedScheduler : public Scheduler {
 public:
  ChainedScheduler(Optimizer& optimizer, std::vector<const Scheduler*> schedulers);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;
  /// That of the last schedule that has one.
  std::optional<double> momentum_at(std::int64_t epoch, std::size_t group) const override;

 private:
  std::vector<const Scheduler*> schedulers_;
};

}  // namespace nn::optim

#pragma GCC visibility pop
