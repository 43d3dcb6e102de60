#pragma once

#include "autograd/core/errors.hpp"
#include "nn/optim/isa/rule.hpp"

namespace nn::optim {

template <class T>
struct SGDRule : Rule<T> {
  static constexpr std::array<std::string_view, 1> buffers{"momentum_buffer"};
  static constexpr std::size_t always = 0;
  static bool uses(const auto& o, std::size_t) { return o.momentum != 0; }

  static bool by_rows(const auto& o) { return o.momentum == 0 && o.weight_decay == 0; }

  static void options(auto& o, auto& show) {
    show("lr", o.lr, not_negative);
    show("momentum", o.momentum, not_negative);
    show("dampening", o.dampening);
    show("weight_decay", o.weight_decay, not_negative);
    show("nesterov", o.nesterov);
  }
  static void check(std::string_view name, const auto& o) {
    if (o.nesterov && (!(o.momentum > 0) || o.dampening != 0))
      autograd::fail(
          name, "nesterov needs momentum > 0 and dampening 0, got momentum {} and dampening {}",
          o.momentum, o.dampening);
  }

  T lr, momentum, fresh;
  bool has_momentum, nesterov;

  SGDRule(const auto& o, const auto& moment)
      : Rule<T>(o),
        lr(o.lr),
        momentum(o.momentum),
        fresh(moment.fresh ? 1 : 1 - o.dampening),
        has_momentum(o.momentum != 0),
        nesterov(o.nesterov) {}

  template <class V>
  void operator()(V& p, V g, V& b) const {
    V d = this->gradient(p, g);
    if (has_momentum) {
      b = fma(momentum, b, fresh * d);
      d = nesterov ? fma(momentum, b, d) : b;
    }
    p = fma(-lr, d, p);
  }
};

}  // namespace nn::optim
