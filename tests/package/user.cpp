// A user's program against the installed package: both umbrella headers beside xtensor and
// xtensor-blas.
#include <autograd/autograd.hpp>
#include <autograd/xtensor.hpp>
#include <nn/nn.hpp>

#include <fmt/core.h>
#include <xtensor-blas/xlinalg.hpp>

#include <cmath>

namespace ag = autograd;

int main() {
  // Least squares, solved by xtensor-blas and by gradient descent.
  ag::manual_seed(3);
  const ag::Tensor x = ag::randn({64, 3}, ag::float64);
  const ag::Tensor y = ag::matmul(x, ag::tensor({{1.0}, {-2.0}, {0.5}})) + 0.25;

  nn::Linear model(3, 1);
  model.to(ag::float64);
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.1, .momentum = 0.9});
  for (int step = 0; step < 300; ++step) {
    optimizer.zero_grad();
    nn::mse_loss(model(x), y).backward();
    optimizer.step();
  }

  const xt::xarray<double> design =
      xt::concatenate(xt::xtuple(x.array<double>(), xt::ones<double>({64, 1})), 1);
  const auto solution =
      std::get<0>(xt::linalg::lstsq(design, xt::xarray<double>(y.array<double>())));
  double difference = std::abs(solution(3, 0) - model.bias.item<double>());
  for (int i = 0; i < 3; ++i)
    difference =
        std::max(difference, std::abs(solution(i, 0) - model.weight.array<double>()(0, i)));
  fmt::print("weight {:.3f} bias {:.3f}\n", model.weight, model.bias);
  fmt::print("agrees with lstsq: {}\n", difference < 1e-6);
  return difference < 1e-6 ? 0 : 1;
}
