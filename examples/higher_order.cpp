// Derivatives of derivatives: Newton's method, a Hessian too large to write down, and a network
// that learns the solution of a differential equation from the equation alone.
#include <autograd/autograd.hpp>
#include <autograd/xtensor.hpp>
#include <nn/nn.hpp>

#include <fmt/core.h>
#include <xtensor-blas/xlinalg.hpp>

#include <cmath>

namespace ag = autograd;

// 1. Newton's method for logistic regression: each step solves H d = g with the exact Hessian.
bool newton() {
  const ag::Tensor x = ag::randn({50, 2}, ag::float64);
  const ag::Tensor label =
      (ag::matmul(x, ag::tensor({2.0, -1.0})) + ag::randn({50}, ag::float64) > 0).to(ag::float64);
  auto loss = [&](const ag::Tensor& w) {
    const ag::Tensor logits = ag::matmul(x, w);
    return ag::mean(ag::softplus(logits) - label * logits) + 0.01 * ag::sum(ag::square(w));
  };
  ag::Tensor w = ag::zeros({2}, ag::float64);
  double size = 1;
  for (int step = 0; step < 7; ++step) {
    const auto [value, gradient] = ag::value_and_grad(loss)(w);
    const xt::xarray<double> h = ag::hessian(loss, w).array<double>(), g = gradient.array<double>();
    size = ag::max(ag::abs(gradient)).item();
    fmt::print("newton {}  loss {:.6f}  |gradient| {:.1e}\n", step, value.item(), size);
    w = w - ag::Tensor(xt::linalg::solve(h, g));
  }
  return size < 1e-12;
}

// 2. Conjugate gradients for H d = g with products H v only: one more walk each, whatever the size
// of H.
bool hessian_free() {
  const int n = 2000;
  auto energy =
      [](const ag::Tensor& u) {  // a chain of springs with a stiffening force on every node
        const ag::Tensor stretch = ag::narrow(u, 0, 1, n - 1) - ag::narrow(u, 0, 0, n - 1);
        return 0.5 * ag::sum(ag::square(stretch)) +
               ag::sum(0.5 * ag::square(u) + 0.25 * ag::pow(u, 4));
      };
  const ag::Tensor u = ag::randn({n}, ag::float64), g = ag::value_and_grad(energy)(u).second;
  ag::Tensor d = ag::zeros_like(g), r = g, p = r;
  double rr = ag::sum(r * r).item();
  const double start = rr;
  int products = 0;
  for (; rr > 1e-20 * start && products < 200; ++products) {
    const ag::Tensor hp = ag::hvp(energy, u, p);
    const double alpha = rr / ag::sum(p * hp).item();
    d = d + alpha * p;
    r = r - alpha * hp;
    const double next = ag::sum(r * r).item();
    p = r + next / rr * p;
    rr = next;
  }
  const double error = ag::max(ag::abs(ag::hvp(energy, u, d) - g)).item();
  fmt::print("a {0} x {0} system solved with {1} products, error {2:.0e}\n", n, products, error);
  return error < 1e-6;
}

// 3. u'' = -u with u(0) = 0, u'(0) = 1, so u = sin t. The loss holds second derivatives of the
// network by
//    its input; training differentiates them once more, by the weights.
bool differential_equation() {
  nn::MLP net(1, {24, 24}, 1, {.activation = nn::Tanh()});
  net.to(ag::float64);
  nn::optim::Adam optimizer(net.parameters(), {.lr = 5e-3});
  nn::optim::CosineAnnealingLR schedule(optimizer, {.T_max = 1500});
  ag::Tensor t = ag::Tensor(xt::linspace<double>(0, 3, 32).reshape({32, 1})).requires_grad_();
  auto u = [&](const ag::Tensor& at) {
    return at + at * at * net(at);
  };  // holds both conditions at 0
  for (int step = 0; step < 1500; ++step) {
    optimizer.zero_grad();
    const ag::Tensor value = u(t);
    const ag::Tensor u1 = ag::grad({ag::sum(value)}, {t}, {.create_graph = true})[0];
    const ag::Tensor u2 = ag::grad({ag::sum(u1)}, {t}, {.create_graph = true})[0];
    ag::mean(ag::square(u2 + value)).backward();
    optimizer.step();
    schedule.step();
  }
  const double error = ag::max(ag::abs(u(t) - ag::sin(t))).item();
  fmt::print("u'' = -u: largest distance to sin t {:.4f}\n", error);
  return error < 0.01;
}

int main() {
  ag::manual_seed(5);
  const bool all = newton() && hessian_free() && differential_equation();
  fmt::print("{}\n", all ? "all solved" : "FAILED");
  return all ? 0 : 1;
}
