#include "nn/optim/reduce_on_plateau.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/tape/grad_mode.hpp"

namespace nn::optim {
namespace {
constexpr auto kName = "ReduceLROnPlateau";
}

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, const ReduceLROnPlateauOptions& options)
    : optimizer_(optimizer), o_(options) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  best_ = o_.mode == PlateauMode::min ? infinity : -infinity;
  if (!(o_.factor < 1)) ag::fail(kName, "factor must be below 1, got {}", o_.factor);
  const auto not_negative = [](std::string_view option, auto value) {
    if (!(value >= 0)) ag::fail(kName, "{} must be at least 0, got {}", option, value);
  };
  not_negative("factor", o_.factor);
  not_negative("patience", o_.patience);
  not_negative("threshold", o_.threshold);
  not_negative("cooldown", o_.cooldown);
  not_negative("eps", o_.eps);
  for (const double lr : o_.min_lr) not_negative("min_lr", lr);
  check_min_lr();
}

void ReduceLROnPlateau::check_min_lr() const {
  if (o_.min_lr.size() != 1 && o_.min_lr.size() != optimizer_.group_count())
    ag::fail(kName, "min_lr needs one value or one for each of the {} groups, got {}",
             optimizer_.group_count(), o_.min_lr.size());
}

bool ReduceLROnPlateau::better(double metric) const {
  const bool min = o_.mode == PlateauMode::min;
  if (std::isinf(best_)) return min ? metric < best_ : metric > best_;
  double wanted = min ? best_ - o_.threshold : best_ + o_.threshold;
  if (o_.threshold_mode == ThresholdMode::rel) {
    // best ∓ threshold |best|: with the sign of best, or a worse negative metric would be better.
    const double threshold = best_ < 0 ? -o_.threshold : o_.threshold;
    wanted = best_ * (min ? 1 - threshold : 1 + threshold);
  }
  return min ? metric < wanted : metric > wanted;
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
  check_min_lr();  // groups may have been added
  for (std::size_t i = 0; i < optimizer_.group_count(); ++i) {
    const double old = optimizer_.lr(i), least = o_.min_lr[o_.min_lr.size() == 1 ? 0 : i];
    const double reduced = std::max(old * o_.factor, least);
    if (old - reduced > o_.eps) optimizer_.set_lr(reduced, i);
  }
}

StateDict ReduceLROnPlateau::state_dict() const {
  StateDict state{named_scalar("best", best_), named_scalar("last_epoch", epoch_),
                  named_scalar("num_bad_epochs", bad_),
                  named_scalar("cooldown_counter", cooldown_)};
  sign_state(state, kName);
  return state;
}

void ReduceLROnPlateau::load_state_dict(const StateDict& state) {
  StateReader reader(kName, state);
  reader.check_signature();
  const double best = reader.number("best");
  const std::int64_t epoch = reader.integer("last_epoch");
  const std::int64_t bad = reader.integer("num_bad_epochs");
  const std::int64_t cooldown = reader.integer("cooldown_counter");
  reader.finish();
  if (std::isnan(best)) ag::fail(kName, "'best' must be a number, got NaN");
  for (const auto& [entry, count] :
       {std::pair("last_epoch", epoch), std::pair("num_bad_epochs", bad),
        std::pair("cooldown_counter", cooldown)})
    if (count < 0) ag::fail(kName, "'{}' must be at least 0, got {}", entry, count);
  best_ = best;
  epoch_ = epoch;
  bad_ = bad;
  cooldown_ = cooldown;
}

}  // namespace nn::optim
