// A program of a user of the component onnx: usage: onnx_user MODEL.onnx
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>
#include <nn/onnx/load.hpp>

#include <fmt/core.h>

namespace ag = autograd;

int main(int, char** argv) {
  nn::OnnxModel model = nn::load_onnx(argv[1]);
  ag::manual_seed(1);
  const ag::Tensor x = ag::randn({16, 5}), y = ag::zeros({16, 3});
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1});
  const double before = nn::mse_loss(model(x), y).item();
  for (int step = 0; step < 20; ++step) {
    optimizer.zero_grad();
    nn::mse_loss(model(x), y).backward();
    optimizer.step();
  }
  fmt::print("{} parameters, the loss falls: {}\n", model.num_parameters(),
             nn::mse_loss(model(x), y).item() < before / 2);
}
