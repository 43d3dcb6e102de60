#pragma once

#include <cmath>

#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct AdamaxRule : Rule<T> {
  static constexpr std::array<std::string_view, 2> buffers{"exp_avg", "exp_inf"};

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("betas", o.betas, decay);
    show("eps", o.eps, not_negative);
    show("weight_decay", o.weight_decay, not_negative);
  }

  T step_size, beta1, rest1, beta2, eps;

  AdamaxRule(const auto& o, const auto& moment)
      : Rule<T>(o),
        step_size(o.lr / (1 - std::pow(o.betas.first, static_cast<double>(moment.steps)))),
        beta1(o.betas.first),
        rest1(1 - o.betas.first),
        beta2(o.betas.second),
        eps(o.eps) {}

  template <class V>
  void operator()(V& p, V g, V& mean, V& largest) const {
    const V d = this->gradient(p, g);
    mean = fma(beta1, mean, rest1 * d);
    largest = maximum(beta2 * largest, abs(d) + eps);
    p -= step_size * mean / largest;
  }
};

}  // namespace nn::optim
