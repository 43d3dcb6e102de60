#pragma once

#include <cmath>

#include "nn/optim/isa/moments.hpp"
#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

/// Adam, and with `decoupled` weight decay AdamW.
template <class T, bool decoupled>
struct AdamLike : Rule<T> {
  static constexpr std::array<std::string_view, 3> buffers{"exp_avg", "exp_avg_sq",
                                                           "max_exp_avg_sq"};
  static constexpr std::size_t always = 2;
  static bool uses(const auto& o, std::size_t) { return o.amsgrad; }

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("betas", o.betas, decay);
    show("eps", o.eps, not_negative);
    show("weight_decay", o.weight_decay, not_negative);
    show("amsgrad", o.amsgrad);
  }

  Moments<T> moments;
  T step_size, root_scale, eps, shrink;
  bool amsgrad;

  AdamLike(const auto& o, const auto& moment)
      : Rule<T>(o, decoupled),
        moments(o),
        step_size(o.lr / (1 - std::pow(o.betas.first, static_cast<double>(moment.steps)))),
        root_scale(1 / std::sqrt(1 - std::pow(o.betas.second, static_cast<double>(moment.steps)))),
        eps(o.eps),
        shrink(Rule<T>::shrunk(o, decoupled)),
        amsgrad(o.amsgrad) {}

  template <class V>
  void operator()(V& p, V g, V& mean, V& square, V& largest) const {
    const V d = this->gradient(p, g);
    moments.update(d, mean, square);
    V v = square;
    if (amsgrad) v = largest = maximum(v, largest);
    p = fma(shrink, p, -(step_size * mean / fma(sqrt(v), root_scale, eps)));
  }
};

template <class T>
struct AdamRule : AdamLike<T, false> {
  using AdamLike<T, false>::AdamLike;
};
template <class T>
struct AdamWRule : AdamLike<T, true> {
  using AdamLike<T, true>::AdamLike;
};

}  // namespace nn::optim
