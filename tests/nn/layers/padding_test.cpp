#include "nn/layers/padding.hpp"

#include "autograd/ops/ops.hpp"
#include "nn/layers/activation.hpp"
#include "nn/layers/distance.hpp"
#include "nn/layers/rearrange.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;

TEST_CASE("padding, rearranging and comparing layers print as PyTorch's") {
  CHECK(nn::ZeroPad2d(1).str() == "ZeroPad2d((1, 1, 1, 1))");
  CHECK(nn::ReflectionPad1d({3, 1}).str() == "ReflectionPad1d((3, 1))");
  CHECK(nn::ConstantPad1d({1, 2}, 0.5).str() == "ConstantPad1d(padding=(1, 2), value=0.5)");
  CHECK(nn::Unflatten(1, {2, 5}).str() == "Unflatten(dim=1, unflattened_size=(2, 5))");
  CHECK(nn::PixelShuffle(2).str() == "PixelShuffle(upscale_factor=2)");
  CHECK(nn::PixelUnshuffle(2).str() == "PixelUnshuffle(downscale_factor=2)");
  CHECK(nn::ChannelShuffle(2).str() == "ChannelShuffle(groups=2)");
  CHECK(nn::Softmin(1).str() == "Softmin(dim=1)");
  CHECK(nn::RReLU(0.1, 0.3).str() == "RReLU(lower=0.1, upper=0.3)");
  CHECK(nn::CosineSimilarity().str() == "CosineSimilarity()");
  CHECK(nn::Bilinear(3, 2, 4).str() ==
        "Bilinear(in1_features=3, in2_features=2, out_features=4, bias=True)");
}

TEST_CASE("RReLU draws a slope for each element in training") {
  const ag::Tensor x = ag::full({1000}, -1.0).requires_grad_();
  nn::RReLU layer;
  const ag::Tensor y = layer(x);
  ag::sum(y).backward();
  CHECK(ag::max(y).item() <= -1.0 / 8);
  CHECK(ag::min(y).item() >= -1.0 / 3);
  CHECK(ag::var(y).item() == Catch::Approx(0.0036).epsilon(0.2));
  CHECK(ag::all(x.grad() == -y).item() != 0);
  layer.eval();
  CHECK(ag::max(layer(x)).item() == Catch::Approx(-11.0 / 48));
}

TEST_CASE("what layers of padding and rearranging cannot do is refused") {
  const ag::Tensor x = ag::zeros({2, 6, 3, 3});
  CHECK_THROWS_WITH(nn::ZeroPad2d({1, 2}), "ZeroPad2d: padding must have 1 or 4 widths, got 2");
  CHECK_THROWS_WITH(nn::CircularPad1d(-1), "CircularPad1d: widths must be at least 0, got -1");
  CHECK_THROWS_WITH(
      nn::ReflectionPad1d(1)(x),
      Catch::Matchers::ContainsSubstring("needs inputs of 2 or 3 axes, got shape (2, 6, 3, 3)"));
  CHECK_THROWS_WITH(nn::PixelShuffle(0),
                    "PixelShuffle: upscale_factor must be in [1, 65536], got 0");
  CHECK_THROWS_WITH(
      nn::PixelShuffle(2)(x),
      Catch::Matchers::ContainsSubstring("channels must be a multiple of the square of 2, got 6"));
  CHECK_THROWS_WITH(
      nn::PixelUnshuffle(2)(x),
      Catch::Matchers::ContainsSubstring("height and width must be multiples of 2, got 3 and 3"));
  CHECK_THROWS_WITH(nn::ChannelShuffle(4)(x),
                    Catch::Matchers::ContainsSubstring("groups must divide the 6 channels, got 4"));
  CHECK_THROWS_WITH(nn::Softmax2d()(ag::ones({2, 2})),
                    Catch::Matchers::ContainsSubstring(
                        "needs inputs (n, c, h, w) or (c, h, w), got shape (2, 2)"));
  CHECK_THROWS_WITH(nn::RReLU(0.5, 0.1), "RReLU: needs 0 ≤ lower ≤ upper ≤ 1, got 0.5 and 0.1");
  CHECK_THROWS_WITH(nn::Bilinear(2, 2, 1)(ag::ones({3, 2}), ag::ones({4, 2})),
                    Catch::Matchers::ContainsSubstring(
                        "inputs must agree but for the last axis, got (3, 2) and (4, 2)"));
  CHECK_THROWS_WITH(nn::Bilinear(2, 2, 1)(ag::ones({3, 2}), ag::ones({3, 1})),
                    Catch::Matchers::ContainsSubstring("needs inputs (…, 2) and (…, 2)"));
}
