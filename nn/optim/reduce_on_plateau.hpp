#pragma once

#include <cstdint>
#include <vector>

#include "nn/optim/optimizer.hpp"

#pragma GCC visibility push(default)

namespace nn::optim {

/// Whether a smaller or a larger metric is better.
enum class PlateauMode { min, max };
/// Whether a metric must be better by threshold · |best| (PyTorch leaves out the bars, and so never
/// reduces for a negative metric) or by threshold itself.
enum class ThresholdMode { rel, abs };

struct ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::min;
  double factor = 0.1;         ///< in [0, 1)
  std::int64_t patience = 10;  ///< steps without improvement that are tolerated
  double threshold = 1e-4;     ///< by how much a metric must be better to count
  ThresholdMode threshold_mode = ThresholdMode::rel;
  std::int64_t cooldown = 0;         ///< steps after a reduction that are not counted
  std::vector<double> min_lr = {0};  ///< one for all groups or one for each
  double eps = 1e-8;                 ///< smaller changes of the learning rate are not made
};

/// Multiplies the learning rates by `factor` when a metric has stopped improving. It must not
/// outlive its optimizer.
class ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options = {});

  /// Takes the metric of an epoch. NaN is no improvement.
  void step(double metric);
  std::int64_t last_epoch() const { return outside(epoch_); }
  double best() const { return outside(best_); }
  std::int64_t num_bad_epochs() const { return outside(bad_); }

  StateDict state_dict() const;
  /// Continues from what `state_dict()` gave. The learning rates are the optimizer's to restore.
  void load_state_dict(const StateDict& state);

 private:
  template <class T>
  static T outside(T value) {
    ag::detail::refuse_in_trace("the state of ReduceLROnPlateau", "ask for it outside");
    return value;
  }
  bool better(double metric) const;
  void check_min_lr() const;
  void reduce();

  Optimizer& optimizer_;
  ReduceLROnPlateauOptions o_;
  double best_;
  std::int64_t epoch_ = 0, bad_ = 0, cooldown_ = 0;
};

}  // namespace nn::optim

#pragma GCC visibility pop
