#include "nn/data/images/augment.hpp"

#include <array>
#include <cmath>
#include <map>
#include <set>

#include "autograd/core/cpu.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/data/dataloader.hpp"
#include "nn/data/images/color.hpp"
#include "nn/data/images/resample.hpp"
#include "nn/losses/losses.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::Equals;

namespace {

using Floats = std::vector<float>;

// n times the image whose pixel (c, i, j) is 100 c + 10 i + j.
Tensor numbered(std::int64_t n, std::int64_t channels, std::int64_t height, std::int64_t width) {
  Tensor x = ag::empty({n, channels, height, width});
  float* to = x.mutable_data<float>();
  for (std::int64_t k = 0; k < n * channels; ++k)
    for (std::int64_t i = 0; i < height; ++i)
      for (std::int64_t j = 0; j < width; ++j)
        *to++ = static_cast<float>(100 * (k % channels) + 10 * i + j);
  return x;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && ag::all(a == b).item() != 0;
}

}  // namespace

TEST_CASE("a random part of each image, every place as likely as the others") {
  ag::Generator g(1);
  const Tensor x = numbered(900, 2, 4, 5), y = data::random_crop(x, {2, 3}, g);
  CHECK(y.shape() == ag::Shape(900, 2, 2, 3));
  std::map<float, int> corners;
  for (std::int64_t i = 0; i < 900; ++i) {
    const Tensor part = y[i];
    const float corner = part.data<float>()[0];
    CHECK(same(part, numbered(1, 2, 2, 3)[0] + corner));
    ++corners[corner];
  }
  CHECK(corners.size() == 9);
  for (const auto& [corner, count] : corners) CHECK((count > 60 && count < 140));
}

TEST_CASE("parts reach into the padding, which is of each mode") {
  ag::Generator g(2);
  const Tensor x = numbered(1, 1, 2, 2)[0] + 1;
  const auto whole = [&](const data::CropOptions& options) {
    return data::random_crop(x, {4, 4}, options, g).to_vector<float>();
  };
  CHECK(whole({.padding = 1, .fill = 9}) ==
        Floats{9, 9, 9, 9, 9, 1, 2, 9, 9, 11, 12, 9, 9, 9, 9, 9});
  CHECK(whole({.padding = 1, .mode = ag::PadMode::reflect}) ==
        Floats{12, 11, 12, 11, 2, 1, 2, 1, 12, 11, 12, 11, 2, 1, 2, 1});
  CHECK(whole({.padding = {1, 0, 1, 2}, .mode = ag::PadMode::replicate}) ==
        Floats{1, 1, 2, 2, 11, 11, 12, 12, 11, 11, 12, 12, 11, 11, 12, 12});
  const Tensor lacking = data::random_crop(x, {4, 2}, {.pad_if_needed = true}, g);
  CHECK(lacking.shape() == ag::Shape(1, 4, 2));
  CHECK(ag::sum(lacking).item() == 26);
  CHECK(data::random_crop(ag::reshape(ag::arange(9), {1, 3, 3}), 3, g).dtype() == ag::int64);
}

TEST_CASE("the middle of an image has the smaller half of an odd margin above and to the left") {
  for (const std::int64_t margin : {0, 1, 2, 3, 5, 7}) {
    const Tensor x = numbered(2, 1, 2 + margin, 3 + margin);
    const float corner = data::center_crop(x, {2, 3}).data<float>()[0];
    CHECK(corner == static_cast<float>(11 * (margin / 2)));
  }
}

TEST_CASE("images are mirrored with the given probability") {
  ag::Generator g(3);
  const Tensor x = numbered(1000, 2, 2, 3), mirrored = ag::flip(x, {-1}),
               turned = ag::flip(x, {-2});
  CHECK(same(data::random_horizontal_flip(x, 0, g), x));
  CHECK(same(data::random_horizontal_flip(x, 1, g), mirrored));
  CHECK(same(data::random_vertical_flip(x, 1, g), turned));
  for (const double p : {0.5, 0.2}) {
    const Tensor y = data::random_horizontal_flip(x, p, g);
    int flips = 0;
    for (std::int64_t i = 0; i < 1000; ++i) {
      const bool flipped = same(y[i], mirrored[i]);
      CHECK((flipped || same(y[i], x[i])));
      flips += flipped;
    }
    CHECK(std::abs(flips - 1000 * p) < 60);
  }
  CHECK(data::random_vertical_flip(x[0], g).shape() == ag::Shape(2, 2, 3));
  CHECK(data::random_horizontal_flip(ag::empty({0, 1, 2, 2}), g).shape() == ag::Shape(0, 1, 2, 2));
}

TEST_CASE("one rectangle of an image is erased, in all of its channels") {
  ag::Generator g(4);
  const Tensor x = ag::ones({400, 2, 20, 30});
  const Tensor y = data::random_erasing(x, {.value = 0}, g);
  int erased = 0;
  for (std::int64_t i = 0; i < 400; ++i) {
    const Tensor gone = 1 - y[i];
    CHECK(same(gone[0], gone[1]));
    const double area = ag::sum(gone[0]).item();
    if (area == 0) continue;
    ++erased;
    CHECK((area >= 0.015 * 600 && area <= 0.36 * 600));
    const double rows = ag::sum(ag::amax(gone[0], 1)).item(),
                 columns = ag::sum(ag::amax(gone[0], 0)).item();
    CHECK(area == rows * columns);
  }
  CHECK((erased > 150 && erased < 250));
  const Tensor noisy = data::random_erasing(x, {.p = 1, .noise = true}, g);
  CHECK(ag::min(noisy).item() < -1);
  CHECK(same(data::random_erasing(x, {.p = 0}, g), x));
}

TEST_CASE("mixup mixes images and targets alike") {
  ag::Generator g(5);
  const Tensor labels = ag::tensor({0, 1, 2, 3});
  const Tensor x = ag::one_hot(labels, 4).to(ag::float32);  // so that x shows what was mixed
  double least = 1, most = 0;
  for (int i = 0; i < 200; ++i) {
    const auto [mixed, targets] = data::mixup({x, labels}, {.alpha = 0.4, .classes = 4}, g);
    CHECK(same(mixed, targets));
    CHECK(ag::max(ag::abs(ag::sum(targets, 1) - 1)).item() < 1e-6);
    const double top = ag::max(mixed).item();
    least = std::min(least, top);
    most = std::max(most, top);
    CHECK(std::isfinite(nn::cross_entropy(mixed, targets).item()));
  }
  CHECK((least < 0.7 && most > 0.99));
  const auto [values, y] = data::mixup({x, x}, {}, g);
  CHECK(same(values, y));
}

TEST_CASE("mixup with a small alpha keeps one of two samples") {
  ag::Generator g(6);
  const Tensor x = ag::tensor({0.0, 1.0});
  int first = 0, between = 0;
  for (int i = 0; i < 400; ++i) {
    const Tensor mixed = data::mixup({x, x}, {.alpha = 1e-3}, g).x;
    const double at = mixed.to_vector<double>()[0];
    first += at < 0.5;
    between += at > 0.05 && at < 0.95;
  }
  CHECK(between < 8);
  // Half of λ are 0, and half of the samples mix with themselves.
  CHECK((first > 240 && first < 360));
}

TEST_CASE("augmented images are a function of the generator, for any number of threads",
          "[threads]") {
  ag::Generator source(7);
  const Tensor x = ag::rand({16, 3, 12, 10}, ag::float32, source);
  const auto augmented = [&](int threads) {
    ag::set_num_threads(threads);
    ag::Generator g(8);
    Tensor y = data::random_crop(x, {10, 8}, {.padding = 2, .mode = ag::PadMode::reflect}, g);
    y = data::random_vertical_flip(data::random_horizontal_flip(y, g), 0.3, g);
    y = data::random_rotation(y, 20, {.mode = data::Resample::bilinear}, g);
    y = data::color_jitter(y, {.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1},
                           g);
    y = data::random_erasing(data::resize(y, {9, 7}), {.noise = true}, g);
    ag::set_num_threads(1);
    return y;
  };
  const Tensor alone = augmented(1);
  CHECK(same(alone, augmented(1)));
  CHECK(same(alone, augmented(4)));
}

TEST_CASE("a loader augments each batch by random numbers of its own", "[threads]") {
  const auto seen = [](std::int64_t workers) {
    data::DataLoader loader(data::LabelledImages{numbered(8, 3, 6, 6), ag::arange(8)},
                            {.batch_size = 4,
                             .seed = 1,
                             .workers = workers,
                             .transform = [](data::Batch batch, ag::Generator& generator) {
                               batch.x = data::random_crop(batch.x, 6, {.padding = 2}, generator);
                               batch.x = data::random_horizontal_flip(batch.x, generator);
                               return batch;
                             }});
    Floats all;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (const auto& [x, y] : loader)
        for (const float f : x.to_vector<float>()) all.push_back(f);
    return all;
  };
  const auto alone = seen(0);
  CHECK(seen(2) == alone);
  const auto half = static_cast<std::ptrdiff_t>(alone.size() / 2);
  CHECK(!std::equal(alone.begin(), alone.begin() + half, alone.begin() + half));
}

TEST_CASE("what cannot be augmented is refused") {
  ag::Generator g;
  const Tensor x = ag::ones({2, 3, 4, 5});
  CHECK_THROWS_WITH(data::random_crop(x, {5, 5}, g),
                    Equals("random_crop: images must be at least as large as the part, 5 x 5, got "
                           "4 x 5; pad or resize them"));
  CHECK_THROWS_WITH(data::random_crop(x, 2, {.padding = -1}, g),
                    Equals("random_crop: padding must be at least 0, got -1, -1, -1, -1"));
  CHECK_THROWS_WITH(data::random_crop(ag::ones({4, 5}), 2, g),
                    Equals("random_crop: images must have shape (n, channels, height, width) or "
                           "(channels, height, width), got (4, 5)"));
  CHECK_THROWS_WITH(data::center_crop(x, 0),
                    Equals("center_crop: the size must be at least 1 x 1, got 0 x 0"));
  CHECK_THROWS_WITH(data::random_horizontal_flip(x, 1.5, g),
                    Equals("random_horizontal_flip: p must be in [0, 1], got 1.5"));
  CHECK_THROWS_WITH(data::random_erasing(x, {.scale = {0.5, 0.2}}, g),
                    Equals("random_erasing: scale must be a range in [0, 1], got 0.5 to 0.2"));
  CHECK_THROWS_WITH(data::random_erasing(ag::reshape(ag::arange(8), {2, 2, 2}), g),
                    Equals("random_erasing: needs float32 or float64, got int64; convert with "
                           ".to(float32)"));
  CHECK_THROWS_WITH(data::random_erasing(x, {.ratio = {1, INFINITY}}, g),
                    Equals("random_erasing: ratio must be a finite range above 0, got 1 to inf"));
  CHECK_THROWS_WITH(data::mixup({x, ag::arange(2)}, {.alpha = INFINITY, .classes = 2}, g),
                    Equals("mixup: alpha must be finite and above 0, got inf"));
  CHECK_THROWS_WITH(data::mixup({x, ag::arange(2)}, {}, g),
                    Equals("mixup: classes must be the number of classes of the labels, got 0"));
  CHECK_THROWS_WITH(data::mixup({x, ag::arange(3)}, {.classes = 3}, g),
                    Equals("mixup: x and y must have the same number of rows, got (2, 3, 4, 5) and "
                           "(3,)"));
}
