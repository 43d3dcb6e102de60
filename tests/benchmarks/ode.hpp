#pragma once

#include <autograd/autograd.hpp>
#include <autograd/loops.hpp>

namespace workloads {

/// The gradient, by four rates, of where hares and foxes (Lotka, Volterra) are after 200 steps of
/// the classic Runge-Kutta method: work of 2 elements. `unrolled`: as a loop of the program.
template <class Run>
void rk4(bool unrolled, const Run& run) {
  namespace ag = autograd;
  using ag::Tensor;
  constexpr double h = 0.01;
  constexpr int steps = 200;
  const auto rate = [](const Tensor& y, const Tensor& p) {
    const Tensor a = y[0], b = y[1];
    return ag::stack({p[0] * a - p[1] * a * b, p[2] * a * b - p[3] * b});
  };
  const auto next = [rate](const Tensor& y, const Tensor& p) {
    const Tensor k1 = rate(y, p), k2 = rate(y + h / 2 * k1, p);
    const Tensor k3 = rate(y + h / 2 * k2, p), k4 = rate(y + h * k3, p);
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
  };
  const Tensor start = ag::ones({2}, ag::float64);
  const auto step = [&](const Tensor& p) {
    Tensor y = start;
    if (unrolled)
      for (int i = 0; i < steps; ++i) y = next(y, p);
    else
      y = ag::scan([&](const Tensor& state) { return next(state, p); }, y, {.length = steps});
    return ag::grad({ag::sum(y)}, {p})[0];
  };
  run(step, ag::tensor({1.5, 1.0, 1.0, 3.0}).requires_grad_());
}

}  // namespace workloads
