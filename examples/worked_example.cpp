// One neuron, one step of learning, every number twice: by the formulas of the chain rule and by
// the tape. With the argument --dot it prints the recorded graph for Graphviz instead.
#include <autograd/autograd.hpp>

#include <fmt/core.h>

#include <cmath>
#include <string_view>

namespace ag = autograd;

int main(int argc, char** argv) {
  const double x = 0.5, y = 1.0, learning_rate = 0.1;

  // By the tape: write the forward pass, then ask for the gradients.
  const ag::Tensor input = ag::tensor(x);
  ag::Tensor w = ag::tensor(0.4).requires_grad_();
  ag::Tensor b = ag::tensor(0.1).requires_grad_();
  const ag::Tensor z = w * input + b;
  const ag::Tensor a = ag::sigmoid(z);
  const ag::Tensor loss = 0.5 * ag::square(y - a);
  for (ag::Tensor t : {z, a, loss}) t.retain_grad();
  loss.backward({.retain_graph = true});

  if (argc > 1 && argv[1] == std::string_view("--dot")) {
    fmt::print(
        "{}",
        ag::to_dot(loss, {{"x", input}, {"w", w}, {"b", b}, {"z", z}, {"a", a}, {"L", loss}}));
    return 0;
  }

  // By hand: the same forward pass, and the chain rule from the loss back to the weight.
  const double z_ = 0.4 * x + 0.1;
  const double a_ = 1 / (1 + std::exp(-z_));
  const double loss_ = 0.5 * (y - a_) * (y - a_);
  const double dL_da = a_ - y;
  const double da_dz = a_ * (1 - a_);
  const double dL_dz = dL_da * da_dz;
  const double dL_dw = dL_dz * x;

  fmt::print("{:<28} {:>8} {:>8}\n", "", "by hand", "by tape");
  auto line = [](const char* what, double hand, const ag::Tensor& tape) {
    fmt::print("{:<28} {:8.4f} {:8.4f}\n", what, hand, tape.item());
  };
  line("z = w x + b", z_, z);
  line("a = sigmoid(z)", a_, a);
  line("L = (y - a)^2 / 2", loss_, loss);  // 0.0906 if a is rounded to 0.5744 first
  line("dL/da = a - y", dL_da, a.grad());
  line("dL/dz = dL/da a (1 - a)", dL_dz, z.grad());
  line("dL/dw = dL/dz x", dL_dw, w.grad());
  line("dL/db = dL/dz", dL_dz, b.grad());

  const double w_new = 0.4 - learning_rate * dL_dw, b_new = 0.1 - learning_rate * dL_dz;
  const ag::NoGrad no_grad;  // the update itself is not to be differentiated
  w = w - learning_rate * w.grad();
  b = b - learning_rate * b.grad();
  line("w' = w - 0.1 dL/dw", w_new, w);
  line("b' = b - 0.1 dL/db", b_new, b);

  const ag::Tensor better = 0.5 * ag::square(y - ag::sigmoid(w * input + b));
  fmt::print("the loss falls from {:.4f} to {:.4f}\n", loss.item(), better.item());
  return better.item() < loss.item() ? 0 : 1;
}
