#include "nn/data/readers/image_file.hpp"

#include <cmath>
#include <filesystem>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"
#include "tests/nn/data/pictures.hpp"
#include "tests/nn/scratch.hpp"

namespace ag = autograd;
namespace data = nn::data;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;
using data::Color;

namespace {

using Floats = std::vector<float>;

struct Fixture {
  Scratch scratch;
  std::string path = scratch / "picture";

  Tensor read(const std::string& bytes, const data::ImageOptions& options = {}) {
    write_bytes(path, bytes);
    return data::read_image(path, options);
  }
  Tensor written(const Tensor& x, int depth = 8, const data::ImageOptions& options = {}) {
    data::write_png(path, x, {.depth = depth});
    return data::read_image(path, options);
  }
  void refuses(const std::string& bytes, const std::string& message) {
    write_bytes(path, bytes);
    CHECK_THROWS_WITH(data::read_image(path), Equals(path + ": " + message));
  }
};

// A big-endian number in place of the bytes at `at`.
std::string with_size(std::string bytes, std::size_t at, std::uint32_t n, int width) {
  std::string number;
  for (int i = width - 1; i >= 0; --i) number += static_cast<char>(n >> 8 * i);
  return bytes.replace(at, number.size(), number);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "images of one to four channels come back from PNG, in 8 and 16 bits") {
  ag::Generator g(1);
  for (const int depth : {8, 16})
    for (const std::int64_t channels : {1, 2, 3, 4}) {
      const double largest = depth == 8 ? 255 : 65535;
      const Tensor x = ag::floor((largest + 1) * ag::rand({channels, 5, 7}, ag::float64, g));
      const Tensor y = written(x / largest, depth);
      CHECK(y.dtype() == ag::float32);
      CHECK(y.shape() == x.shape());
      CHECK(ag::all(y == x.to(ag::float32) / largest).item() != 0);
      const auto info = data::read_image_info(path);
      CHECK((info.height == 5 && info.width == 7 && info.channels == channels));
      CHECK(info.depth == depth);
    }
}

TEST_CASE_METHOD(Fixture, "written values are rounded to the nearest number") {
  const Tensor y = written(ag::tensor({{0.4 / 255, 0.6 / 255, 1.0, 254.4 / 255}}));
  CHECK(y.shape() == ag::Shape(1, 1, 4));
  CHECK(y.to_vector<float>() == Floats{0, 1 / 255.0f, 1, 254 / 255.0f});
}

TEST_CASE_METHOD(Fixture, "palettes, transparent colours and single bits are read as channels") {
  const Tensor palette = read(pictures::palette);
  CHECK(palette.shape() == ag::Shape(3, 3, 4));
  CHECK(palette.to_vector<float>()[3] == 10 / 255.0f);
  CHECK(palette.to_vector<float>()[12 + 1] == 1.0f);
  const Tensor transparent = read(pictures::transparent);
  CHECK(transparent.shape() == ag::Shape(4, 3, 4));
  CHECK(transparent[3][0].to_vector<float>() == Floats{1, 0, 1, 1});
  const Tensor bits = read(pictures::bits);
  CHECK(bits[0][0].to_vector<float>() == Floats{0, 1, 0, 1});
}

TEST_CASE_METHOD(Fixture, "an interlaced PNG of 16 bits keeps all of them") {
  const Tensor raw = read(pictures::interlaced, {.scale = 1});
  CHECK(raw.shape() == ag::Shape(1, 3, 5));
  CHECK(raw[0][2].to_vector<float>() == Floats{2000, 2001, 2002, 2003, 2004});
  CHECK(read(pictures::interlaced).to_vector<float>()[6] == 1001 / 65535.0f);
  CHECK(read(pictures::interlaced, {.scale = 0.001}).to_vector<float>()[6] == 1.001f);
}

TEST_CASE_METHOD(Fixture, "JPEG is read as PIL reads it") {
  const Tensor x = read(pictures::jpeg);
  CHECK(x.shape() == ag::Shape(3, 9, 7));
  const auto pixel = [](const Tensor& t, std::int64_t row, std::int64_t column) {
    Floats bytes;
    for (std::int64_t c = 0; c < t.size(0); ++c)
      bytes.push_back(255 * t[c][row][column].item<float>());
    return bytes;
  };
  CHECK(pixel(x, 0, 0) == Floats{0, 1, 2});
  CHECK(pixel(x, 8, 6) == Floats{177, 200, 208});
  CHECK(pixel(x, 4, 3) == Floats{88, 99, 103});
  const Tensor grey = read(pictures::grey_jpeg);
  CHECK(grey.shape() == ag::Shape(1, 9, 7));
  CHECK(pixel(grey, 8, 6) == Floats{194});
  CHECK(data::read_image_info(path).depth == 8);
}

TEST_CASE_METHOD(Fixture, "a JPEG is turned as EXIF says, on request, as by PIL") {
  const Tensor stored = read(pictures::turned);
  CHECK(stored.shape() == ag::Shape(1, 3, 5));
  CHECK(data::read_image_info(path).orientation == 6);
  const Tensor turned = read(pictures::turned, {.exif_transpose = true});
  CHECK(turned.shape() == ag::Shape(1, 5, 3));
  CHECK(turned[0][4].to_vector<float>() == Floats{0, 0, 200 / 255.0f});
  // By PIL's table: where the first pixel, and the last of the first row, come to stand.
  const std::int64_t first[][2] = {{0, 0}, {0, 4}, {2, 4}, {2, 0}, {0, 0}, {0, 2}, {4, 2}, {4, 0}},
                     last[][2] = {{0, 4}, {0, 0}, {2, 0}, {2, 4}, {4, 0}, {4, 2}, {0, 2}, {0, 0}};
  std::string bytes = pictures::turned;
  const std::size_t at = bytes.find(std::string("\x01\x12\0\x03", 4)) + 9;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    INFO(orientation);
    bytes[at] = static_cast<char>(orientation);
    const Tensor x = read(bytes, {.exif_transpose = true});
    const auto* f = first[orientation - 1];
    const auto* l = last[orientation - 1];
    CHECK(x[0][f[0]][f[1]].item<float>() == 200 / 255.0f);
    CHECK(x[0][l[0]][l[1]].item<float>() == 200 / 255.0f);
    CHECK(ag::sum(x).item() == Catch::Approx(1000 / 255.0));
  }
  for (const int wrong : {0, 9}) {
    bytes[at] = static_cast<char>(wrong);
    CHECK(read(bytes, {.exif_transpose = true}).shape() == ag::Shape(1, 3, 5));
  }
  CHECK(read(pictures::palette, {.exif_transpose = true}).shape() == ag::Shape(3, 3, 4));
}

TEST_CASE_METHOD(Fixture, "pictures are read in the channels that are asked for") {
  const Tensor rgba = ag::reshape(ag::tensor({0.2, 0.4, 0.6, 0.8}), {4, 1, 1});
  const float grey = static_cast<float>(0.299 * 0.2f + 0.587 * 0.4f + 0.114 * 0.6f);
  CHECK(written(rgba, 8, {.color = Color::rgb}).to_vector<float>() == Floats{0.2f, 0.4f, 0.6f});
  CHECK(written(rgba, 8, {.color = Color::rgba}).to_vector<float>() ==
        Floats{0.2f, 0.4f, 0.6f, 0.8f});
  CHECK(written(rgba, 8, {.color = Color::grey}).to_vector<float>()[0] == Catch::Approx(grey));
  CHECK(written(rgba, 8, {.color = Color::grey_alpha}).to_vector<float>()[1] == 0.8f);
  const Tensor one = ag::tensor({{0.2}});
  CHECK(written(one, 8, {.color = Color::rgb}).to_vector<float>() == Floats{0.2f, 0.2f, 0.2f});
  CHECK(written(one, 8, {.color = Color::rgba}).to_vector<float>()[3] == 1.0f);
  CHECK(written(one, 8, {.color = Color::rgba, .scale = 1}).to_vector<float>()[3] == 255.0f);
  CHECK(written(ag::ones({3, 1, 1}), 8, {.color = Color::grey}).item<float>() == 1.0f);
}

TEST_CASE_METHOD(Fixture, "a picture with too many pixels is refused before memory is taken") {
  const std::string png = with_size(pictures::bits, 16, 1'000'000, 4);
  const std::string jpeg_head = "\xff\xc0", large(pictures::jpeg);
  const std::string jpeg = with_size(large, large.find(jpeg_head) + 5, 0xea60ea60, 4);
  CHECK_THROWS_WITH(read(pictures::jpeg, {.max_pixels = 62}),
                    Equals(path + ": must have at most 62 pixels, got 9 x 7; raise max_pixels if "
                                  "you trust it"));
  CHECK(read(pictures::jpeg, {.max_pixels = 63}).numel() == 3 * 63);
  refuses(
      jpeg,
      "must have at most 134217728 pixels, got 60000 x 60000; raise max_pixels if you trust it");
  CHECK_THROWS_WITH(read(png), ContainsSubstring("must be an intact PNG file"));  // its check sum
}

TEST_CASE_METHOD(Fixture, "pictures that are cut anywhere are refused") {
  for (const std::string& bytes : {pictures::palette, pictures::interlaced, pictures::jpeg})
    for (std::size_t n = 0; n < bytes.size() - 2; ++n) {
      write_bytes(path, bytes.substr(0, n));
      INFO(n);
      CHECK_THROWS_AS(data::read_image(path), ag::Error);
    }
}

TEST_CASE_METHOD(Fixture, "files that are no pictures are refused in words") {
  refuses("", "must be a PNG or JPEG file, got one that begins with the bytes []");
  refuses("GIF89a",
          "must be a PNG or JPEG file, got one that begins with the bytes [47 49 46 38 "
          "39 61]");
  refuses(pictures::cmyk,
          "must be grey or in colour, got JPEG of another kind, such as CMYK; convert it");
  refuses(pictures::palette.substr(0, 60),
          "must be an intact PNG file, got \"the end of the file\"");
  refuses(pictures::jpeg.substr(0, 200),
          "must be an intact JPEG file, got \"Premature end of input file\"");
  CHECK_THROWS_WITH(data::read_image(scratch / "none"),
                    Equals(scratch / "none: must be a readable file, got: No such file or "
                                     "directory"));
  CHECK_THROWS_WITH(read(pictures::bits, {.max_pixels = 0}),
                    Equals("read_image: max_pixels must be at least 1, got 0"));
}

TEST_CASE_METHOD(Fixture, "what is no image is not written") {
  const auto refused = [&](const Tensor& x, const std::string& message, int depth = 8) {
    CHECK_THROWS_WITH(data::write_png(path, x, {.depth = depth}), Equals(path + ": " + message));
  };
  refused(ag::ones({5, 2, 2}),
          "an image must have shape (channels, height, width) with 1 to 4 channels, got (5, 2, 2)");
  refused(ag::ones({0, 2}),
          "an image must have shape (channels, height, width) with 1 to 4 channels, got (0, 2)");
  refused(ag::tensor({{0.0, 1.5}}),
          "values of an image must be in [0, 1], got 1.5; clamp them, or divide by 255");
  refused(ag::tensor({{0.0, std::nan("")}}),
          "values of an image must be in [0, 1], got nan; clamp them, or divide by 255");
  refused(ag::ones({2, 2}), "the depth of PNG must be 8 or 16, got 4", 4);
  CHECK(!std::filesystem::exists(path));
  CHECK(scratch.entries() == 0);
}
