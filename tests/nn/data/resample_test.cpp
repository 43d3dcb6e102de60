#include "nn/data/images/resample.hpp"

#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/data/images/color.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;
using data::Resample;

namespace {

// Pixel (c, i, j) is sin(1 + 3 c + 0.7 i + 0.3 j²).
Tensor wavy(std::int64_t channels, std::int64_t height, std::int64_t width) {
  Tensor x = ag::empty({1, channels, height, width}, ag::float64);
  double* to = x.mutable_data<double>();
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < height; ++i)
      for (std::int64_t j = 0; j < width; ++j)
        *to++ = std::sin(1.0 + 3.0 * static_cast<double>(c) + 0.7 * static_cast<double>(i) +
                         0.3 * static_cast<double>(j * j));
  return x;
}

// One number for all pixels: their sum, weighted by cos(0), cos(1), ….
double figure(const Tensor& x) {
  double sum = 0, k = 0;
  for (const double value : x.to_vector<double>()) sum += value * std::cos(k++);
  return sum;
}

struct Resized {
  Resample mode;
  bool antialias;
  std::int64_t height, width;
  double figure;
};

// By torch.nn.functional.interpolate (PyTorch 2.15) of the wavy image.
const Resized kPytorch[] = {
    {Resample::nearest, false, 3, 2, -0.411103114164238},
    {Resample::nearest, false, 4, 9, 0.356144202778704},
    {Resample::nearest, false, 10, 11, 1.73571049309119},
    {Resample::nearest, false, 1, 5, -0.498382920568116},
    {Resample::nearest_exact, false, 3, 2, 0.203677197175239},
    {Resample::nearest_exact, false, 4, 9, 3.69782336245382},
    {Resample::nearest_exact, false, 10, 11, 0.481392177701474},
    {Resample::nearest_exact, false, 1, 5, 1.61501898555839},
    {Resample::bilinear, true, 3, 2, -0.0119246064585648},
    {Resample::bilinear, true, 4, 9, 1.26485075778477},
    {Resample::bilinear, true, 10, 11, 2.17863611979843},
    {Resample::bilinear, true, 1, 5, 0.604061135602502},
    {Resample::bilinear, false, 3, 2, 0.122221367771459},
    {Resample::bilinear, false, 4, 9, 1.91291274856565},
    {Resample::bilinear, false, 10, 11, 2.17863611979843},
    {Resample::bilinear, false, 1, 5, 1.61501898555839},
    {Resample::bicubic, true, 3, 2, 0.00456851609387173},
    {Resample::bicubic, true, 4, 9, 1.84739407332896},
    {Resample::bicubic, true, 10, 11, 2.84529200888742},
    {Resample::bicubic, true, 1, 5, 0.569454272593684},
    {Resample::bicubic, false, 3, 2, 0.171721305528006},
    {Resample::bicubic, false, 4, 9, 2.42861736425799},
    {Resample::bicubic, false, 10, 11, 3.01865671820167},
    {Resample::bicubic, false, 1, 5, 1.61501898555839},
};

struct Rotated {
  Resample mode;
  double degrees, figure;
};

// By torchvision's formula and torch.nn.functional.grid_sample.
const Rotated kRotated[] = {
    {Resample::nearest, 31, -3.50571318966625},     {Resample::nearest, -77.5, -2.21271343941735},
    {Resample::nearest, 200, 1.44490795056519},     {Resample::bilinear, 31, -1.42555676013153},
    {Resample::bilinear, -77.5, -1.02287718977369}, {Resample::bilinear, 200, 0.622115272776521},
};

}  // namespace

TEST_CASE("images are resized as PyTorch does it") {
  for (const auto& c : kPytorch) {
    INFO(static_cast<int>(c.mode) << ' ' << c.antialias << ' ' << c.height << " x " << c.width);
    const Tensor y = data::resize(wavy(2, 7, 5), {c.height, c.width},
                                  {.mode = c.mode, .antialias = c.antialias});
    CHECK(y.shape() == ag::Shape(1, 2, c.height, c.width));
    CHECK(std::abs(figure(y) - c.figure) < 1e-12);
  }
}

TEST_CASE("an image in its own size stays as it is") {
  const Tensor x = wavy(3, 6, 4).to(ag::float32);
  for (const auto mode :
       {Resample::nearest, Resample::nearest_exact, Resample::bilinear, Resample::bicubic})
    CHECK(ag::max(ag::abs(data::resize(x, {6, 4}, {.mode = mode}) - x)).item() == 0);
}

TEST_CASE("the mean of an image outlives a resize with antialias") {
  const Tensor x = ag::full({2, 1, 97, 31}, 0.7, ag::float32);
  const Tensor y = data::resize(x, {5, 3});
  CHECK(y.shape() == ag::Shape(2, 1, 5, 3));
  CHECK(ag::max(ag::abs(y - 0.7f)).item() < 1e-6);
}

TEST_CASE("the longer side follows the shorter one, rounded down") {
  CHECK(data::resize_shorter(ag::ones({3, 97, 131}), 256).shape() == ag::Shape(3, 256, 345));
  CHECK(data::resize_shorter(ag::ones({1, 1, 131, 97}), 32).shape() == ag::Shape(1, 1, 43, 32));
}

TEST_CASE("images are rotated as torchvision does it") {
  for (const auto& c : kRotated) {
    INFO(c.degrees);
    CHECK(std::abs(figure(data::rotate(wavy(2, 7, 5), c.degrees, {.mode = c.mode})) - c.figure) <
          1e-12);
  }
}

TEST_CASE("a quarter turn goes counter-clockwise; what lies outside is filled") {
  const Tensor x = ag::reshape(ag::arange(9), {1, 3, 3}).to(ag::float32);
  const Tensor turned = data::rotate(x, 90);
  CHECK(turned.to_vector<float>() == ag::rot90(x, 1, {1, 2}).to_vector<float>());
  const Tensor wide = data::rotate(ag::ones({1, 1, 3}), 90, {.fill = 5});
  CHECK(wide.to_vector<float>() == std::vector<float>{5, 1, 5});
}

TEST_CASE("each image is rotated by an angle of its own") {
  ag::Generator g(3);
  const Tensor x = ag::expand(wavy(1, 8, 8), {6, 1, 8, 8});
  const Tensor y = data::random_rotation(x, 45, {.mode = Resample::bilinear}, g);
  CHECK(ag::max(ag::abs(y[0] - y[1])).item() > 0.01);
  CHECK(ag::max(ag::abs(data::random_rotation(x, 0, g) - x)).item() == 0);
}

TEST_CASE("colours are adjusted by torchvision's formulas") {
  const Tensor x = (wavy(3, 4, 5) + 1) / 2;
  CHECK(std::abs(figure(data::adjust_brightness(x, 1.4)) - 0.283809771465085) < 1e-12);
  CHECK(std::abs(figure(data::adjust_contrast(x, 1.7)) - 0.448895027988205) < 1e-12);
  CHECK(std::abs(figure(data::adjust_saturation(x, 0.3)) - 0.454827359133129) < 1e-12);
  CHECK(std::abs(figure(data::adjust_hue(x, 0.2)) - 2.69265960525554) < 1e-12);
  CHECK(std::abs(figure(data::adjust_hue(x, -0.45)) - -0.965170861028153) < 1e-12);
}

TEST_CASE("grey images keep hue and saturation; white stays white") {
  const Tensor x = (wavy(1, 3, 3) + 1) / 2, white = ag::ones({3, 2, 2});
  CHECK(ag::max(ag::abs(data::adjust_hue(x, 0.3) - x)).item() == 0);
  CHECK(ag::max(ag::abs(data::adjust_saturation(x, 0) - x)).item() == 0);
  CHECK(ag::min(data::adjust_saturation(white, 0)).item() == 1);
  const Tensor nan = ag::full({3, 1, 1}, std::nan(""), ag::float64);
  CHECK(std::isnan(ag::sum(data::adjust_hue(nan, 0.3)).item()));
}

TEST_CASE("jittered colours differ from image to image and stay in range") {
  ag::Generator g(4);
  const Tensor x = ag::expand((wavy(3, 5, 5) + 1) / 2, {5, 3, 5, 5});
  const Tensor y =
      data::color_jitter(x, {.brightness = 0.5, .contrast = 0.5, .saturation = 0.5, .hue = 0.2}, g);
  CHECK((ag::min(y).item() >= 0 && ag::max(y).item() <= 1));
  for (std::int64_t i = 1; i < 5; ++i) CHECK(ag::max(ag::abs(y[i] - y[0])).item() > 0.01);
  CHECK(ag::max(ag::abs(data::color_jitter(x, {}, g) - x)).item() == 0);
}

TEST_CASE("sizes, angles and factors out of range are refused") {
  ag::Generator g;
  const Tensor x = ag::ones({2, 3, 4, 5});
  CHECK_THROWS_WITH(data::resize(x, {0, 3}),
                    Equals("resize: the size must be in [1, 1073741824], got 0 x 3"));
  CHECK_THROWS_WITH(data::resize(ag::ones({1, 0, 3}), 2),
                    Equals("resize: images must have a pixel, got (1, 0, 3)"));
  CHECK_THROWS_WITH(data::rotate(x, 10, {.mode = Resample::bicubic}),
                    Equals("rotate: the mode must be nearest or bilinear, got another one"));
  CHECK_THROWS_WITH(data::random_rotation(x, -1, g),
                    Equals("random_rotation: degrees must be finite and at least 0, got -1"));
  CHECK_THROWS_WITH(data::adjust_hue(x, 0.6),
                    Equals("adjust_hue: shift must be in [-0.5, 0.5], got 0.6"));
  CHECK_THROWS_WITH(data::adjust_contrast(ag::ones({2, 4, 4}), 1),
                    Equals("adjust_contrast: images must have 1 or 3 channels, got (2, 4, 4)"));
  CHECK_THROWS_WITH(data::adjust_brightness(x, INFINITY),
                    Equals("adjust_brightness: the factor must be finite and at least 0, got inf"));
  CHECK_THROWS_WITH(data::color_jitter(x, {.contrast = INFINITY}, g),
                    Equals("color_jitter: contrast must be finite and at least 0, got inf"));
  CHECK_THROWS_WITH(data::color_jitter(x, {.hue = 0.6}, g),
                    Equals("color_jitter: hue must be in [0, 0.5], got 0.6"));
}
