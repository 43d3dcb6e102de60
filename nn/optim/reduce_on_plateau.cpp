#include "nn/optim/reduce_on_plateau.hpp"

#include <algorithm>

#include "autograd/errors.hpp"
#include "autograd/tape.hpp"

namespace nn::optim {
namespace {
constexpr auto kName = "ReduceLROnPlateau";
}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options)
    : optimizer_(optimizer), o_(options) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  best_ = o_.mode == PlateauMode::min ? infinity : -infinity;
  if (!(o_.factor < 1)) ag::fail(kName, "factor must be below 1, got {}", o_.factor);
  if (o_.min_lr.size() != 1 && o_.min_lr.size() != optimizer.group_count())
    ag::fail(kName, "min_lr needs one value or one for each of the {} groups, got {}",
             optimizer.group_count(), o_.min_lr.size());
}

bool ReduceLROnPlateau::better(double metric) const {
  const bool relative = o_.threshold_mode == ThresholdMode::rel;
  if (o_.mode == PlateauMode::min)
    return metric < (relative ? best_ * (1 - o_.threshold) : best_ - o_.threshold);
  return metric > (relative ? best_ * (1 + o_.threshold) : best_ + o_.threshold);
}

void ReduceLROnPlateau::step(double metric) {
  ag::detail::refuse_in_trace(kName, "call step() outside");
  ++epoch_;
  if (better(metric)) {
    best_ = metric;
    bad_ = 0;
  } else {
    ++bad_;
  }
  if (cooldown_ > 0) {
    --cooldown_;
    bad_ = 0;
  }
  if (bad_ > o_.patience) {
    reduce();
    cooldown_ = o_.cooldown;
    bad_ = 0;
  }
}

void ReduceLROnPlateau::reduce() {
  for (std::size_t i = 0; i < optimizer_.group_count(); ++i) {
    const double old = optimizer_.lr(i), least = o_.min_lr[o_.min_lr.size() == 1 ? 0 : i];
    const double reduced = std::max(old * o_.factor, least);
    if (old - reduced > o_.eps) optimizer_.set_lr(reduced, i);
  }
}

StateDict ReduceLROnPlateau::state_dict() const {
  return {named_scalar("best", best_), named_scalar("last_epoch", epoch_),
          named_scalar("num_bad_epochs", bad_), named_scalar("cooldown_counter", cooldown_)};
}

void ReduceLROnPlateau::load_state_dict(const StateDict& state) {
  StateReader reader(kName, state);
  const double best = reader.number("best");
  const std::int64_t epoch = reader.integer("last_epoch");
  const std::int64_t bad = reader.integer("num_bad_epochs");
  const std::int64_t cooldown = reader.integer("cooldown_counter");
  reader.finish();
  best_ = best;
  epoch_ = epoch;
  bad_ = bad;
  cooldown_ = cooldown;
}

}  // namespace nn::optim
