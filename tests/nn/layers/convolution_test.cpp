#include "nn/layers/convolution.hpp"

#include <cmath>

#include "autograd/compile.hpp"
#include "autograd/core/cpu.hpp"
#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "nn/layers/pooling.hpp"
#include "nn/losses/losses.hpp"
#include "nn/optim/adam.hpp"
#include "tests/catch.hpp"
#include "tests/nn/layers/some_steps.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

nn::Sequential network() {
  ag::manual_seed(3);
  return nn::Sequential(nn::Conv2d(2, 8, 3, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
                        nn::Conv2d(8, 12, 3, {.padding = "same", .groups = 2}), nn::ReLU(),
                        nn::AvgPool2d(2), nn::ConvTranspose2d(12, 4, 2, {.stride = 2}),
                        nn::AdaptiveAvgPool2d(2), nn::Flatten(), nn::Linear(16, 3));
}

// Losses of some steps, then the parameters.
ag::TensorList trained(bool compiled) {
  nn::Sequential model = network();
  nn::optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
  ag::Generator g(1);
  const Tensor x = ag::randn({9, 2, 12, 10}, ag::float32, g), y = ag::randint(0, 3, {9}, g);
  const auto step = [&](const Tensor& a, const Tensor& b) {
    optimizer.zero_grad();
    const Tensor loss = nn::cross_entropy(model(a), b);
    loss.backward();
    optimizer.step();
    return loss;
  };
  return some_steps(model, step, x, y, compiled);
}

}  // namespace

TEST_CASE("convolutions and poolings print as in PyTorch") {
  CHECK(nn::Conv1d(4, 6, 3).str() == "Conv1d(4, 6, kernel_size=(3,), stride=(1,))");
  CHECK(
      nn::Conv2d(4, 6, {3, 2},
                 {.stride = 2,
                  .padding = {1, 0},
                  .dilation = 2,
                  .groups = 2,
                  .bias = false,
                  .padding_mode = nn::PaddingMode::reflect})
          .str() ==
      "Conv2d(4, 6, kernel_size=(3, 2), stride=(2, 2), padding=(1, 0), dilation=(2, 2), groups=2, "
      "bias=False, padding_mode=reflect)");
  CHECK(nn::Conv2d(1, 2, 3, {.padding = "same"}).str() ==
        "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=same)");
  CHECK(nn::ConvTranspose2d(4, 6, 3, {.stride = 2, .padding = 1, .output_padding = 1}).str() ==
        "ConvTranspose2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), "
        "output_padding=(1, 1))");
  CHECK(nn::MaxPool2d(2).str() ==
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)");
  CHECK(nn::MaxPool2d({2, 3}, {.stride = 1}).str() ==
        "MaxPool2d(kernel_size=(2, 3), stride=1, padding=0, dilation=1, ceil_mode=False)");
  CHECK(nn::AvgPool1d(2).str() == "AvgPool1d(kernel_size=2, stride=2, padding=0)");
  CHECK(nn::AdaptiveAvgPool2d(1).str() == "AdaptiveAvgPool2d(output_size=1)");
}

TEST_CASE("weights of convolutions start within one by the root of their inputs") {
  const auto check = [](const nn::detail::ConvBase& layer, double fan_in) {
    const double bound = 1 / std::sqrt(fan_in);
    for (const Tensor& t : {Tensor(layer.weight), Tensor(layer.bias)}) {
      const double largest = ag::max(ag::abs(t)).item();
      CHECK(largest <= bound);
      CHECK(largest > 0.8 * bound);
    }
  };
  check(nn::Conv2d(12, 40, 3, {.groups = 2}), 6 * 9);
  check(nn::ConvTranspose2d(12, 40, 3, {.groups = 2}), 20 * 9);
  check(nn::Conv1d(8, 60, 5), 8 * 5);
  check(nn::Conv3d(4, 60, 2), 4 * 8);
}

TEST_CASE("convolution layers refuse options that do not fit, when they are made") {
  CHECK_THROWS_WITH(nn::Conv2d(4, 6, 3, {.groups = 3}),
                    "conv2d: groups must divide in_channels and out_channels, got 3 for 4 and 6");
  CHECK_THROWS_WITH(nn::Conv2d(0, 6, 3), ContainsSubstring("must be at least 1, got 0 and 6"));
  CHECK_THROWS_WITH(
      nn::Conv2d(4, 6, {3, 3, 3}),
      "conv2d: kernel_size must be one number or 2, one for each axis, got (3, 3, 3)");
  CHECK_THROWS_WITH(nn::ConvTranspose1d(4, 6, 0),
                    "conv_transpose1d: kernel_size must be at least 1, got (0,)");
  CHECK_THROWS_WITH(
      nn::Conv2d(4, 6, 3,
                 {.stride = 2, .padding = "same", .padding_mode = nn::PaddingMode::circular}),
      "conv2d: padding same needs stride 1, got 2, 2");
  CHECK_THROWS_WITH(
      nn::Conv2d(4, 6, 3,
                 {.padding = ag::Integers{1, 2, 3}, .padding_mode = nn::PaddingMode::reflect}),
      ContainsSubstring("padding must be one number or 2, one for each axis, got (1, 2, 3)"));
  CHECK_THROWS_WITH(nn::Conv2d(4, 6, 3, {.padding = "full"}),
                    "padding: the name must be same or valid, got 'full'");
  CHECK_THROWS_WITH(nn::Conv2d(4, 6, 3)(ag::ones({1, 3, 8, 8})),
                    ContainsSubstring("conv2d: x must have 4 channels"));
}

TEST_CASE(
    "a convolutional network learns to the same bits compiled, and with any number of threads") {
  const ag::TensorList eager = trained(false);
  CHECK(eager[4].item() < eager[0].item());
  const ag::TensorList compiled = trained(true);
  ag::set_num_threads(3);
  const ag::TensorList threads = trained(false);
  ag::set_num_threads(1);
  for (std::size_t i = 0; i < eager.size(); ++i) {
    CHECK(same_bits(eager[i], compiled[i]));
    CHECK(same_bits(eager[i], threads[i]));
  }
}

TEST_CASE("a transposed convolution gives the size that is asked for") {
  const nn::ConvTranspose2d layer(2, 3, 3, {.stride = 2, .padding = 1});
  const Tensor x = ag::ones({1, 2, 4, 5});
  CHECK(layer(x).shape() == ag::Shape(1, 3, 7, 9));
  CHECK(layer(x, {8, 9}).shape() == ag::Shape(1, 3, 8, 9));
  nn::ConvTranspose2d same(2, 3, 3, {.stride = 2, .padding = 1, .output_padding = {1, 0}});
  same.load_state_dict(layer.state_dict());
  CHECK(same_bits(layer(x, {8, 9}), same(x)));
  CHECK(nn::ConvTranspose1d(2, 1, 2, {.stride = 3})(ag::ones({2, 2}), 7).shape() ==
        ag::Shape(1, 7));
  CHECK_THROWS_WITH(layer(x, {9, 9}), Catch::Matchers::ContainsSubstring(
                                          "output_size must be in [7, 8] along axis -2, got 9"));
  CHECK_THROWS_WITH(layer(x, {7, 8}),
                    Catch::Matchers::ContainsSubstring("in [9, 10] along axis -1, got 8"));
  CHECK_THROWS_WITH(layer(x, {7, 9, 9}),
                    Catch::Matchers::ContainsSubstring("one number for each of 2 spatial axes"));
}
