#include "nn/layers/feature_dropout.hpp"

#include <set>

#include "autograd/autograd.hpp"
#include "nn/module/any_module.hpp"
#include "tests/nn/close.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

// The numbers that stand in y, where every channel of the first `axes` axes has one of them.
std::set<float> of_channels(const Tensor& y, std::int64_t channels) {
  const Tensor rows = ag::reshape(y, {channels, -1});
  CHECK(same_bits(ag::max(rows, 1), ag::min(rows, 1)));
  const auto values = ag::max(rows, 1).to_vector<float>();
  return {values.begin(), values.end()};
}

std::vector<nn::AnyModule> all(double p) {
  return {nn::AnyModule(nn::Dropout1d(p)), nn::AnyModule(nn::Dropout2d(p)),
          nn::AnyModule(nn::Dropout3d(p)), nn::AnyModule(nn::AlphaDropout(p)),
          nn::AnyModule(nn::FeatureAlphaDropout(p))};
}

// A shape that each of them takes.
ag::Shape shape_for(const nn::AnyModule& layer) {
  const std::string name = layer.module().type_name();
  return name == "Dropout1d"   ? ag::Shape(2, 50, 3)
         : name == "Dropout3d" ? ag::Shape(2, 50, 2, 1, 3)
                               : ag::Shape(2, 50, 2, 3);
}

}  // namespace

TEST_CASE("channel dropout drops whole channels and scales the others") {
  ag::manual_seed(1);
  const std::set<float> both{0.0f, 2.0f};
  const nn::Dropout1d one;
  const nn::Dropout2d two;
  const nn::Dropout3d three;
  CHECK(of_channels(one(ag::ones({4, 20, 3})), 80) == both);
  CHECK(of_channels(one(ag::ones({40, 3})), 40) == both);
  CHECK(of_channels(two(ag::ones({4, 20, 3, 2})), 80) == both);
  CHECK(of_channels(two(ag::ones({4, 20, 3})), 80) == both);
  CHECK(of_channels(three(ag::ones({4, 20, 3, 2, 2})), 80) == both);
  CHECK(of_channels(three(ag::ones({40, 3, 2, 2})), 40) == both);
}

TEST_CASE("alpha dropout keeps mean and variance, and knows two values of a constant") {
  ag::manual_seed(2);
  const nn::AlphaDropout layer(0.3);
  const Tensor y = layer(ag::randn({200'000}, ag::float64));
  CHECK(std::abs(ag::mean(y).item()) < 0.01);
  CHECK(ag::var(y).item() == Catch::Approx(1).epsilon(0.02));
  // PyTorch's, for ones and p = 0.5.
  const auto values = nn::AlphaDropout()(ag::ones({100})).to_vector<float>();
  const std::set<float> two(values.begin(), values.end());
  REQUIRE(two.size() == 2);
  CHECK(*two.begin() == Catch::Approx(-0.7792).epsilon(1e-4));
  CHECK(*two.rbegin() == Catch::Approx(1.6656).epsilon(1e-4));
  CHECK(of_channels(nn::FeatureAlphaDropout()(ag::ones({4, 20, 3, 2})), 80) == two);
}

TEST_CASE("all kinds of dropout pass x in evaluation and for p = 0, and give zeros for p = 1") {
  for (nn::AnyModule& layer : all(0.5)) {
    const Tensor x = ag::randn(shape_for(layer));
    layer.module().eval();
    CHECK(layer(x).is(x));
  }
  for (nn::AnyModule& layer : all(0)) {
    const Tensor x = ag::randn(shape_for(layer));
    CHECK(same_bits(layer(x), x));
  }
  for (nn::AnyModule& layer : all(1))
    CHECK(ag::count_nonzero(layer(ag::ones(shape_for(layer)))).item() == 0);
}

TEST_CASE("all kinds of dropout take empty batches and float64, and replay new masks") {
  ag::manual_seed(3);
  for (nn::AnyModule& layer : all(0.5)) {
    INFO(layer.module().str());
    ag::Shape shape = shape_for(layer);
    CHECK(layer(ag::ones(shape, ag::float64)).dtype() == ag::float64);
    auto replay = ag::compile([&](const Tensor& x) { return layer(x); });
    const Tensor x = ag::ones(shape), first = replay(x).clone(), second = replay(x).clone();
    CHECK_FALSE(same_bits(first, second));
    CHECK_FALSE(same_bits(second, replay(x)));
    shape[0] = 0;
    CHECK(layer(ag::ones(shape)).shape() == shape);
  }
}

TEST_CASE("all kinds of dropout print as PyTorch's and refuse in one line") {
  CHECK(nn::Dropout2d(0.3).str() == "Dropout2d(p=0.3, inplace=False)");
  CHECK(nn::FeatureAlphaDropout().str() == "FeatureAlphaDropout(p=0.5, inplace=False)");
  CHECK_THROWS_WITH(nn::AlphaDropout(-0.1), "alpha_dropout: p must be in [0, 1], got -0.1");
  CHECK_THROWS_WITH(nn::Dropout1d()(ag::ones({2, 3, 4, 5})),
                    "dropout1d: x must be (n, channels, length) or (channels, length), got shape "
                    "(2, 3, 4, 5)");
  CHECK_THROWS_WITH(nn::Dropout2d()(ag::ones({2, 3})),
                    "dropout2d: x must be (n, channels, height, width) or (n, channels, length), "
                    "got shape (2, 3)");
  CHECK_THROWS_WITH(nn::FeatureAlphaDropout()(ag::ones({2})),
                    "feature_alpha_dropout: x must be (n, channels, …), got shape (2,)");
  CHECK_THROWS_WITH(nn::Dropout3d()(ag::ones({2, 3, 4, 5}, ag::int64)),
                    "dropout3d: needs float32 or float64, got int64; convert with .to(float32)");
}
