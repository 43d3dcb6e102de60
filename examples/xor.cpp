// XOR with a 2-4-1 network of sigmoid units, trained sample by sample with plain tensors: forward,
// loss, backward, update. No layer, no optimizer: everything that learning needs is on this page.
#include <autograd/autograd.hpp>

#include <fmt/core.h>

namespace ag = autograd;

struct Network {
  ag::Tensor w1 = ag::randn({4, 2}, ag::float64).requires_grad_();
  ag::Tensor b1 = ag::zeros({4}, ag::float64).requires_grad_();
  ag::Tensor w2 = ag::randn({1, 4}, ag::float64).requires_grad_();
  ag::Tensor b2 = ag::zeros({1}, ag::float64).requires_grad_();

  ag::Tensor forward(const ag::Tensor& x) const {
    const ag::Tensor hidden = ag::sigmoid(ag::matmul(w1, x) + b1);
    return ag::sigmoid(ag::matmul(w2, hidden) + b2);
  }
};

int main() {
  ag::manual_seed(1);
  Network net;
  const ag::Tensor samples = ag::tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  const ag::Tensor targets = ag::tensor({0.0, 1.0, 1.0, 0.0});
  const double learning_rate = 1.0;

  for (int epoch = 0; epoch <= 4000; ++epoch) {
    double total = 0;
    for (int i = 0; i < 4; ++i) {
      const ag::Tensor x = ag::select(samples, 0, i), y = ag::select(targets, 0, i);

      const ag::Tensor a = net.forward(x);                       // forward
      const ag::Tensor loss = ag::sum(0.5 * ag::square(y - a));  // loss
      loss.backward();                                           // backward

      for (ag::Tensor p : {net.w1, net.b1, net.w2, net.b2}) {  // update
        const ag::NoGrad no_grad;
        p.copy_(p - learning_rate * p.grad());  // writes into the weight that the network holds
        p.zero_grad();                          // otherwise the next backward() would add to it
      }
      total += loss.item();
    }
    if (epoch % 1000 == 0) fmt::print("epoch {:4}  loss {:.6f}\n", epoch, total);
  }

  int right = 0;
  for (int i = 0; i < 4; ++i) {
    const ag::Tensor x = ag::select(samples, 0, i);
    const double a = net.forward(x).item(), y = ag::select(targets, 0, i).item();
    right += (a > 0.5) == (y > 0.5);
    fmt::print("{:.0f} -> {:.3f} (target {})\n", x, a, y);
  }
  fmt::print("{} of 4 right\n", right);
  return right == 4 ? 0 : 1;
}
