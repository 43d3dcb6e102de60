#pragma once

#include <cmath>

#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct SparseAdamRule : Rule<T> {
  static constexpr std::array<std::string_view, 2> buffers{"exp_avg", "exp_avg_sq"};
  static constexpr bool needs_rows = true;
  static bool by_rows(const auto&) { return true; }

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("betas", o.betas, decay);
    show("eps", o.eps, not_negative);
    show("maximize", o.maximize);
  }

  T step_size, beta1, rest1, beta2, rest2, eps;  // rest: 1 - beta

  SparseAdamRule(const auto& o, const auto& moment)
      : Rule<T>(o),
        step_size(o.lr *
                  std::sqrt(1 - std::pow(o.betas.second, static_cast<double>(moment.steps))) /
                  (1 - std::pow(o.betas.first, static_cast<double>(moment.steps)))),
        beta1(o.betas.first),
        rest1(1 - o.betas.first),
        beta2(o.betas.second),
        rest2(1 - o.betas.second),
        eps(o.eps) {}

  template <class V>
  void operator()(V& p, V g, V& mean, V& square) const {
    const V d = this->gradient(p, g);
    mean = fma(beta1, mean, rest1 * d);
    square = fma(beta2, square, rest2 * d * d);
    p -= step_size * mean / (sqrt(square) + eps);
  }
};

}  // namespace nn::optim
