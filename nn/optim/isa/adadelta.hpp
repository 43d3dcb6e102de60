#pragma once

#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct AdadeltaRule : Rule<T> {
  static constexpr std::array<std::string_view, 2> buffers{"square_avg", "acc_delta"};

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("rho", o.rho, fraction);
    show("eps", o.eps, not_negative);
    show("weight_decay", o.weight_decay, not_negative);
  }

  T lr, rho, rest, eps;  // rest: 1 - rho

  AdadeltaRule(const auto& o, const auto&)
      : Rule<T>(o), lr(o.lr), rho(o.rho), rest(1 - o.rho), eps(o.eps) {}

  template <class V>
  void operator()(V& p, V g, V& square, V& moved) const {
    const V d = this->gradient(p, g);
    square = fma(rho, square, rest * d * d);
    const V step = sqrt(moved + eps) / sqrt(square + eps) * d;
    moved = fma(rho, moved, rest * step * step);
    p = fma(-lr, step, p);
  }
};

}  // namespace nn::optim
