#pragma once

#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct LionRule : Rule<T> {
  static constexpr std::array<std::string_view, 1> buffers{"exp_avg"};

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("betas", o.betas, decay);
    show("weight_decay", o.weight_decay, not_negative);
  }

  T lr, beta1, rest1, beta2, rest2, shrink;  // rest: 1 - beta

  LionRule(const auto& o, const auto&)
      : Rule<T>(o, true),
        lr(o.lr),
        beta1(o.betas.first),
        rest1(1 - o.betas.first),
        beta2(o.betas.second),
        rest2(1 - o.betas.second),
        shrink(Rule<T>::shrunk(o)) {}

  template <class V>
  void operator()(V& p, V g, V& m) const {
    const V d = this->gradient(p, g), mixed = fma(beta1, m, rest1 * d);
    p = fma(shrink, p, -lr * where(mixed > 0, V(1), where(mixed < 0, V(-1), mixed)));
    m = fma(beta2, m, rest2 * d);
  }
};

}  // namespace nn::optim
