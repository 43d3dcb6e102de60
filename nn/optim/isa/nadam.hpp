#pragma once

#include <cmath>

#include "nn/optim/isa/moments.hpp"
#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct NAdamRule : Rule<T> {
  static constexpr std::array<std::string_view, 2> buffers{"exp_avg", "exp_avg_sq"};
  static constexpr std::array<Number, 1> numbers{Number{"mu_product", 1}};

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("betas", o.betas, decay);
    show("eps", o.eps, not_negative);
    show("weight_decay", o.weight_decay, not_negative);
    show("momentum_decay", o.momentum_decay, not_negative);
    show("decoupled_weight_decay", o.decoupled_weight_decay);
  }

  Moments<T> moments;
  T of_gradient, of_mean, root_scale, eps, shrink;

  NAdamRule(const auto& o, auto& moment)
      : Rule<T>(o, o.decoupled_weight_decay),
        moments(o),
        eps(o.eps),
        shrink(Rule<T>::shrunk(o, o.decoupled_weight_decay)) {
    const auto t = static_cast<double>(moment.steps);
    const auto momentum = [&o](double step) {
      return o.betas.first * (1 - 0.5 * std::pow(0.96, step * o.momentum_decay));
    };
    const double now = momentum(t), next = momentum(t + 1);
    double& product = moment.numbers[0];
    product *= now;
    of_gradient = o.lr * (1 - now) / (1 - product);
    of_mean = o.lr * next / (1 - product * next);
    root_scale = 1 / std::sqrt(1 - std::pow(o.betas.second, t));
  }

  template <class V>
  void operator()(V& p, V g, V& mean, V& square) const {
    const V d = this->gradient(p, g);
    moments.update(d, mean, square);
    const V step = fma(of_gradient, d, of_mean * mean) / fma(sqrt(square), root_scale, eps);
    p = fma(shrink, p, -step);
  }
};

}  // namespace nn::optim
