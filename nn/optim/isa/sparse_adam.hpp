#pragma once

#include <cmath>

#include "nn/optim/isa/moments.hpp"
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
  }

  Moments<T> moments;
  T step_size, eps;

  SparseAdamRule(const auto& o, const auto& moment)
      : Rule<T>(o),
        moments(o),
        step_size(o.lr *
                  std::sqrt(1 - std::pow(o.betas.second, static_cast<double>(moment.steps))) /
                  (1 - std::pow(o.betas.first, static_cast<double>(moment.steps)))),
        eps(o.eps) {}

  template <class V>
  void operator()(V& p, V g, V& mean, V& square) const {
    const V d = this->gradient(p, g);
    moments.update(d, mean, square);
    p -= step_size * mean / (sqrt(square) + eps);
  }
};

}  // namespace nn::optim
