#pragma once

#include <cmath>

#include "nn/optim/isa/moments.hpp"
#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct RAdamRule : Rule<T> {
  static constexpr std::array<std::string_view, 2> buffers{"exp_avg", "exp_avg_sq"};

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("betas", o.betas, decay);
    show("eps", o.eps, not_negative);
    show("weight_decay", o.weight_decay, not_negative);
    show("decoupled_weight_decay", o.decoupled_weight_decay);
  }

  Moments<T> moments;
  T step_size, eps, shrink;
  bool rectified;

  RAdamRule(const auto& o, const auto& moment)
      : Rule<T>(o, o.decoupled_weight_decay),
        moments(o),
        eps(o.eps),
        shrink(Rule<T>::shrunk(o, o.decoupled_weight_decay)) {
    const auto t = static_cast<double>(moment.steps);
    const double decayed = std::pow(o.betas.second, t);
    // The lengths of averages as good as these: of infinitely many steps, and of t.
    const double most = 2 / (1 - o.betas.second) - 1, now = most - 2 * t * decayed / (1 - decayed);
    rectified = now > 5;
    double rate = o.lr / (1 - std::pow(o.betas.first, t));
    if (rectified)
      rate *=
          std::sqrt((now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now) * (1 - decayed));
    step_size = rate;
  }

  template <class V>
  void operator()(V& p, V g, V& mean, V& square) const {
    const V d = this->gradient(p, g);
    moments.update(d, mean, square);
    const V step = step_size * mean;
    p = fma(shrink, p, -(rectified ? step / (sqrt(square) + eps) : step));
  }
};

}  // namespace nn::optim
