#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>

#include "nn/optim/schedulers.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

/// One number for all groups of an optimizer, or one for each: `0.1` or `{0.1, 0.01}`. A value.
class PerGroup {
 public:
  PerGroup(double value) : values_{value} {}                            // NOLINT: as a number
  PerGroup(std::initializer_list<double> values) : values_(values) {}   // NOLINT
  PerGroup(std::vector<double> values) : values_(std::move(values)) {}  // NOLINT
  double operator[](std::size_t group) const { return values_[values_.size() == 1 ? 0 : group]; }
  const std::vector<double>& values() const noexcept { return values_; }

 private:
  std::vector<double> values_;
};

/// How a rate goes from one value to another: along half a cosine, or in a line.
enum class AnnealStrategy { cos, linear };

struct OneCycleLROptions {
  PerGroup max_lr;               ///< above 0
  std::int64_t total_steps = 0;  ///< 0: epochs · steps_per_epoch
  std::int64_t epochs = 0;
  std::int64_t steps_per_epoch = 0;
  double pct_start = 0.3;  ///< the part of the steps in which the rate rises, in [0, 1]
  AnnealStrategy anneal_strategy = AnnealStrategy::cos;
  bool cycle_momentum = true;  ///< move momentum, or the first of betas, against the rate
  PerGroup base_momentum = 0.85;
  PerGroup max_momentum = 0.95;
  double div_factor = 25;         ///< begin at max_lr / div_factor
  double final_div_factor = 1e4;  ///< end at that / final_div_factor
  bool three_phase = false;       ///< fall to the first rate, as long as it rose, and then below it
};
/// One rise to max_lr and one fall far below the first rate (Smith & Topin 2019). After total_steps
/// the rate stays where it ended; PyTorch refuses such steps. The optimizer's own rate is not used.
class OneCycleLR : public Scheduler {
 public:
  /// Throws if cycle_momentum is on and the optimizer has neither momentum nor betas.
  OneCycleLR(Optimizer& optimizer, const OneCycleLROptions& options);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;
  std::optional<double> momentum_at(std::int64_t epoch, std::size_t group) const override;

 private:
  double along(std::int64_t epoch, double first, double top, double last) const;
  OneCycleLROptions o_;
};

enum class CyclicMode { triangular, triangular2, exp_range };
/// Whether a scale depends on the number of the cycle (from 1) or of the step.
enum class ScaleMode { cycle, iterations };

struct CyclicLROptions {
  PerGroup base_lr;
  PerGroup max_lr;
  std::int64_t step_size_up = 2000;
  std::int64_t step_size_down = 0;  ///< 0: as step_size_up
  /// The height stays, halves with each cycle, or is scaled by gamma^step.
  CyclicMode mode = CyclicMode::triangular;
  double gamma = 1;
  std::function<double(double)> scale_fn{};  ///< in place of `mode`; not saved
  ScaleMode scale_mode = ScaleMode::cycle;   ///< of scale_fn
  bool cycle_momentum = true;  ///< move momentum, or the first of betas, against the rate
  PerGroup base_momentum = 0.8;
  PerGroup max_momentum = 0.9;
};
/// The rate goes up and down in lines between base_lr and max_lr (Smith 2017). The optimizer's own
/// rate is not used.
class CyclicLR : public Scheduler {
 public:
  /// Throws if cycle_momentum is on and the optimizer has neither momentum nor betas.
  CyclicLR(Optimizer& optimizer, const CyclicLROptions& options);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;
  std::optional<double> momentum_at(std::int64_t epoch, std::size_t group) const override;

 private:
  double height(std::int64_t epoch) const;
  CyclicLROptions o_;
};

struct CosineAnnealingWarmRestartsOptions {
  std::int64_t T_0;         ///< steps to the first restart
  std::int64_t T_mult = 1;  ///< each period is so many times as long as the one before
  double eta_min = 0;
};
/// Half a cosine from base to eta_min, again and again (Loshchilov & Hutter 2017, SGDR).
class CosineAnnealingWarmRestarts : public Scheduler {
 public:
  CosineAnnealingWarmRestarts(Optimizer& optimizer,
                              const CosineAnnealingWarmRestartsOptions& options);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;

 private:
  CosineAnnealingWarmRestartsOptions o_;
};

struct SWALROptions {
  PerGroup swa_lr;  ///< at least 0
  std::int64_t anneal_epochs =
      10;  ///< steps from the rate before to swa_lr; 0: it is swa_lr at once
  AnnealStrategy anneal_strategy = AnnealStrategy::cos;
};
/// From the rate before to swa_lr, where it stays: for the last part of a training, whose weights
/// `SWA` averages (Izmailov 2018).
class SWALR : public Scheduler {
 public:
  /// Begins with the optimizer's own rate.
  SWALR(Optimizer& optimizer, const SWALROptions& options);
  /// `first` runs for swa_start steps, and the rate goes on from where it then is. Step only this
  /// one, where PyTorch has either of the two stepped; `first` must live as long.
  SWALR(Optimizer& optimizer, const SWALROptions& options, const Scheduler& first,
        std::int64_t swa_start);
  double lr_at(std::int64_t epoch, double base_lr, std::size_t group) const override;
  /// That of `first`, which stays where it is at swa_start.
  std::optional<double> momentum_at(std::int64_t epoch, std::size_t group) const override;

 private:
  SWALR(Optimizer& optimizer, const SWALROptions& options, const Scheduler* first,
        std::int64_t swa_start);
  SWALROptions o_;
  const Scheduler* first_;
  std::int64_t start_;
};

}  // namespace nn::optim

#pragma GCC visibility pop
