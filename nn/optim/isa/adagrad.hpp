#pragma once

#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct AdagradRule : Rule<T> {
  static constexpr std::array<std::string_view, 1> buffers{"sum"};
  static double first(const auto& o, std::size_t) { return o.initial_accumulator_value; }

  static bool by_rows(const auto& o) { return o.weight_decay == 0; }

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("lr_decay", o.lr_decay, not_negative);
    show("weight_decay", o.weight_decay, not_negative);
    show("initial_accumulator_value", o.initial_accumulator_value, not_negative);
    show("eps", o.eps, not_negative);
  }

  T lr, eps;

  AdagradRule(const auto& o, const auto& moment)
      : Rule<T>(o),
        lr(o.lr / (1 + static_cast<double>(moment.steps - 1) * o.lr_decay)),
        eps(o.eps) {}

  template <class V>
  void operator()(V& p, V g, V& sum) const {
    const V d = this->gradient(p, g);
    sum = fma(d, d, sum);
    p -= lr * d / (sqrt(sum) + eps);
  }
};

}  // namespace nn::optim
