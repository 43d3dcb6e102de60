#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

int main() {
  const autograd::Tensor x = autograd::rand({64, 2}), y = autograd::sum(x, 1, true);
  nn::MLP model(2, {8}, 1);
  nn::optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  double loss = 1;
  for (int step = 0; step < 500; ++step) {
    optimizer.zero_grad();
    const autograd::Tensor l = nn::mse_loss(model(x), y);
    l.backward();
    optimizer.step();
    loss = l.item();
  }
  return loss < 0.05 ? 0 : 1;
}
