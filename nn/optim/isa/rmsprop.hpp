#pragma once

#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct RMSpropRule : Rule<T> {
  static constexpr std::array<std::string_view, 3> buffers{"square_avg", "grad_avg",
                                                           "momentum_buffer"};
  static constexpr std::size_t always = 1;
  static bool uses(const auto& o, std::size_t buffer) {
    return buffer == 1 ? o.centered : o.momentum > 0;
  }

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("alpha", o.alpha, not_negative);
    show("eps", o.eps, not_negative);
    show("weight_decay", o.weight_decay, not_negative);
    show("momentum", o.momentum, not_negative);
    show("centered", o.centered);
  }

  T lr, alpha, rest, eps, momentum;  // rest: 1 - alpha
  bool centered, has_momentum;

  RMSpropRule(const auto& o, const auto&)
      : Rule<T>(o),
        lr(o.lr),
        alpha(o.alpha),
        rest(1 - o.alpha),
        eps(o.eps),
        momentum(o.momentum),
        centered(o.centered),
        has_momentum(o.momentum > 0) {}

  template <class V>
  void operator()(V& p, V g, V& square, V& mean, V& b) const {
    V d = this->gradient(p, g);
    square = fma(alpha, square, rest * d * d);
    V v = square;
    if (centered) {
      mean = fma(alpha, mean, rest * d);
      v = fma(-mean, mean, v);
    }
    d /= sqrt(v) + eps;
    if (has_momentum) d = b = fma(momentum, b, d);
    p = fma(-lr, d, p);
  }
};

}  // namespace nn::optim
