#include "nn/data/images/normalize.hpp"

#include <cmath>

#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/io/save.hpp"
#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::Equals;
using nn::data::Normalize;

namespace {

using Numbers = std::vector<double>;

struct Model : nn::Module {
  Normalize input{3};
  NN_MODULE(input)
};

Tensor photos(ag::DType dtype = ag::float64) {
  ag::Generator g(5);
  return ag::rand({20, 3, 4, 6}, dtype, g) *
             ag::reshape(ag::tensor({1.0, 3.0, 0.5}), {3, 1, 1}).to(dtype) +
         2;
}

}  // namespace

TEST_CASE("each channel of normalized images has mean 0 and standard deviation 1") {
  const Tensor x = photos();
  const Normalize normalize = Normalize::fit(x);
  const Tensor z = normalize(x), mean = ag::mean(z, {0, 2, 3}),
               variance = ag::var(z, {0, 2, 3}, false, 0);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(std::abs(mean.to_vector<double>()[c]) < 1e-13);
    CHECK(std::abs(variance.to_vector<double>()[c] - 1) < 1e-13);
  }
  CHECK(ag::max(ag::abs(normalize.inverse_transform(z) - x)).item() < 1e-14);
}

TEST_CASE("one image without the axis of the batch is normalized alike, in its dtype") {
  const Tensor x = photos(ag::float32);
  const Normalize normalize = Normalize::fit(x);
  const Tensor one = normalize(x[4]);
  CHECK(one.dtype() == ag::float32);
  CHECK(ag::all(one == normalize(x)[4]).item() != 0);
}

TEST_CASE("a constant channel is only shifted") {
  const Tensor x = ag::full({7, 1, 3, 3}, 0.1, ag::float32);
  const Normalize normalize = Normalize::fit(x);
  CHECK(normalize.scale.item<double>() == 1);
  CHECK(ag::max(ag::abs(normalize(x))).item() == 0);
}

TEST_CASE("known figures normalize too, and print") {
  const Normalize normalize({0.485, 0.456, 0.406}, {0.229, 0.224, 0.25});
  CHECK(normalize(ag::full({3, 1, 1}, 0.456, ag::float64)).to_vector<double>()[1] == 0);
  CHECK(normalize.str() == "Normalize(mean=[0.485, 0.456, 0.406], scale=[0.229, 0.224, 0.25])");
  CHECK(Normalize().str() == "Normalize()");
  CHECK_THROWS_WITH(Normalize({0.5}, {0.5, 0.5}),
                    Equals("Normalize: needs a mean and a scale for each channel, got 1 and 2"));
  CHECK_THROWS_WITH(Normalize({0.5}, {0.0}),
                    Equals("Normalize: scales must be finite and above 0, got 0"));
  CHECK_THROWS_WITH(Normalize({NAN}, {1.0}), Equals("Normalize: means must be finite, got nan"));
}

TEST_CASE("figures of channels are saved with a model and loaded into another") {
  const Scratch scratch;
  Model model, again;
  model.input = Normalize::fit(photos());
  nn::save(model, scratch / "model.safetensors");
  nn::load(again, scratch / "model.safetensors");
  CHECK(again.state_dict().front().name == "input.mean");
  CHECK(again.input.mean.to_vector<double>() == model.input.mean.to_vector<double>());
  CHECK(again.input.scale.to_vector<double>() == model.input.scale.to_vector<double>());
}

TEST_CASE("normalized images have derivatives") {
  const Normalize normalize = Normalize::fit(photos());
  ag::Generator g(2);
  CHECK(ag::gradcheck([&](const Tensor& x) { return ag::square(normalize(x)); },
                      {ag::randn({2, 3, 2, 2}, ag::float64, g)}));
}

TEST_CASE("images that do not fit the channels are refused") {
  const Normalize normalize(3);
  CHECK_THROWS_WITH(normalize.transform(ag::ones({2, 1, 4, 4})),
                    Equals("transform: images must have shape (n, 3, height, width) or (3, height, "
                           "width), got (2, 1, 4, 4)"));
  CHECK_THROWS_WITH(Normalize().transform(ag::ones({1, 4, 4})),
                    Equals("transform: there must be means of channels, got none; call fit first"));
  CHECK_THROWS_WITH(Normalize::fit(ag::ones({0, 3, 2, 2})),
                    Equals("fit: needs at least one pixel, got none"));
  Tensor x = ag::ones({2, 2, 1, 1}).clone();
  x.mutable_data<float>()[3] = NAN;
  CHECK_THROWS_WITH(Normalize::fit(x),
                    Equals("fit: values must be finite, got nan in image 1, channel 1"));
}
