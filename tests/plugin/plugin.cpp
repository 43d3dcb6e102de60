// What an extension of another program is: it brings the libraries into a process that runs.
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;

extern "C" [[gnu::visibility("default")]] double train() {
  nn::MLP model(2, {4}, 1);
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1});
  const ag::Tensor x = ag::rand({64, 2}), y = ag::sum(x, 1, true);
  double loss = 0;
  for (int step = 0; step < 200; ++step) {
    optimizer.zero_grad();
    const ag::Tensor l = nn::mse_loss(model(x), y);
    l.backward();
    optimizer.step();
    loss = l.item();
  }
  return loss;
}
