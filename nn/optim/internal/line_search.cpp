#include "nn/optim/internal/line_search.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "autograd/ops/ops.hpp"

namespace nn::optim::detail {
namespace {

constexpr double kArmijo = 1e-4, kCurvature = 0.9, kTolerance = 1e-9;

// The lowest place between two of the cubic through two trials.
double cubic_minimum(const Trial& a, const Trial& b, double low, double high) {
  const double d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t);
  const double square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const double d2 = std::sqrt(square);
  const Trial &left = a.t <= b.t ? a : b, &right = a.t <= b.t ? b : a;
  const double share = (right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2);
  return std::min(std::max(right.t - (right.t - left.t) * share, low), high);
}
double cubic_minimum(const Trial& a, const Trial& b) {
  return cubic_minimum(a, b, std::min(a.t, b.t), std::max(a.t, b.t));
}

// Two trials around a place that fulfils the conditions, or one that does.
struct Bracket {
  Trial low, high;
  bool done = false;
  void sort() {
    if (!(low.loss <= high.loss)) std::swap(low, high);
  }
};

class WolfeSearch {
 public:
  WolfeSearch(const Along& along, const Trial& start, std::int64_t trials)
      : along_(along), start_(start), left_(trials) {}

  // Goes farther until the loss or the slope turns.
  Bracket bracket(double t) {
    Trial previous = start_, now = along_(t);
    for (int count = 0; left_ > 0; ++count) {
      if (too_high(now) || (count > 1 && now.loss >= previous.loss)) return {previous, now};
      if (flat(now)) return {now, now, true};
      if (now.slope >= 0) return {previous, now};
      const double least = now.t + 0.01 * (now.t - previous.t);
      const double next = cubic_minimum(previous, now, least, 10 * now.t);
      previous = std::exchange(now, try_at(next));
    }
    return {start_, now};
  }

  // Narrows the bracket around a place that fulfils the conditions.
  Trial zoom(Bracket ends, double length) {
    auto& [low, high, done] = ends;
    ends.sort();
    while (!done && left_ > 0 && !(std::abs(high.t - low.t) * length < kTolerance)) {
      const Trial now =
          try_at(guess(std::min(low.t, high.t), std::max(low.t, high.t), cubic_minimum(low, high)));
      if (too_high(now) || now.loss >= low.loss) {
        high = now;
        ends.sort();
        continue;
      }
      done = flat(now);
      if (!done && now.slope * (high.t - low.t) >= 0) high = low;
      low = now;
    }
    return low;
  }

 private:
  bool too_high(const Trial& at) const {
    return at.loss > start_.loss + kArmijo * at.t * start_.slope;
  }
  bool flat(const Trial& at) const { return std::abs(at.slope) <= -kCurvature * start_.slope; }
  Trial try_at(double t) {
    --left_;
    return along_(t);
  }
  // `t`, or a tenth of the bracket from its end if t was too near an end twice, or beyond.
  double guess(double left, double right, double t) {
    const double margin = 0.1 * (right - left);
    const bool near = std::min(right - t, t - left) < margin;
    const bool pushed = near && (stuck_ || t >= right || t <= left);
    stuck_ = near && !pushed;
    if (!pushed) return t;
    return std::abs(t - right) < std::abs(t - left) ? right - margin : left + margin;
  }

  const Along& along_;
  const Trial& start_;
  std::int64_t left_;
  bool stuck_ = false;
};

}  // namespace

double dot(const ag::Tensor& a, const ag::Tensor& b) { return ag::sum(a * b).item(); }

Trial strong_wolfe(const Along& along, const Trial& start, double t, double length,
                   std::int64_t max_trials) {
  WolfeSearch search(along, start, max_trials);
  return search.zoom(search.bracket(t), length);
}

}  // namespace nn::optim::detail
