// A small user program with both umbrella headers: for the time to compile it.
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

#include <fmt/core.h>

namespace ag = autograd;

struct Net : nn::Module {
  nn::Linear hidden{784, 128};
  nn::Dropout dropout{0.1};
  nn::Linear output{128, 10};
  NN_MODULE(hidden, dropout, output)

  ag::Tensor forward(const ag::Tensor& x) { return output(dropout(ag::relu(hidden(x)))); }
};

int main() {
  ag::manual_seed(1);
  Net model;
  nn::optim::Adam optimizer(model.parameters(), {.lr = 1e-3});
  const ag::Tensor x = ag::rand({64, 784}), y = ag::randint(0, 10, {64});
  for (int step = 0; step < 10; ++step) {
    optimizer.zero_grad();
    ag::Tensor loss = nn::cross_entropy(model.forward(x), y);
    loss.backward();
    optimizer.step();
    fmt::print("step {} loss {:.4f}\n", step, loss.item<float>());
  }
}
