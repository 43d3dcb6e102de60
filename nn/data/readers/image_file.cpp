#include "nn/data/readers/image_file.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>

#include "autograd/ops/movement/movement.hpp"
#include "nn/data/readers/internal/codecs.hpp"
#include "nn/io/internal/replacement.hpp"

namespace nn::data {

using autograd::fail;
using detail::Pixels;

detail::PictureFile::PictureFile(const std::string& path)
    : file(path), in_head(file.read(head, 8)) {}

std::size_t detail::PictureFile::read(void* out, std::size_t n) {
  if (n == 0) return 0;
  const std::size_t first = std::min(n, in_head - taken);
  std::memcpy(out, head + taken, first);
  taken += first;
  return first + (n > first ? file.read(static_cast<std::uint8_t*>(out) + first, n - first) : 0);
}

void detail::allocate(const std::string& path, Pixels& pixels, std::int64_t max_pixels) {
  const ImageInfo& i = pixels.info;
  // Both are below 2^31.
  if (i.height * i.width > max_pixels)
    fail(path, "must have at most {} pixels, got {} x {}; raise max_pixels if you trust it",
         max_pixels, i.height, i.width);
  pixels.allocate();
}

namespace {

Pixels read(const std::string& path, std::optional<std::int64_t> max_pixels) {
  constexpr std::uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  constexpr std::uint8_t jpeg[] = {0xff, 0xd8, 0xff};
  detail::PictureFile file(path);
  const auto begins = [&](const auto& magic) {
    return file.in_head >= sizeof magic && std::memcmp(file.head, magic, sizeof magic) == 0;
  };
  if (begins(png)) return detail::read_png(file, max_pixels);
  if (begins(jpeg)) return detail::read_jpeg(file, max_pixels);
  fail(path, "must be a PNG or JPEG file, got one that begins with the bytes [{:02X}]",
       fmt::join(file.head, file.head + file.in_head, " "));
}

using Pixel = std::array<float, 4>;

float grey_of(const Pixel& rgb) {
  return static_cast<float>(0.299 * double{rgb[0]} + 0.587 * double{rgb[1]} +
                            0.114 * double{rgb[2]});
}

std::int64_t channels_of(Color color) {
  switch (color) {
    case Color::grey:
      return 1;
    case Color::grey_alpha:
      return 2;
    case Color::rgb:
      return 3;
    default:
      return 4;
  }
}

// A pixel of a picture with these channels, as one with `channels`.
Pixel in_color(const Pixel& x, std::int64_t stored, std::int64_t channels, float opaque) {
  const bool has_rgb = stored >= 3, has_alpha = stored % 2 == 0;
  const float alpha = has_alpha ? x[has_rgb ? 3 : 1] : opaque;
  if (channels < 3) return {has_rgb ? grey_of(x) : x[0], alpha};
  return {x[0], x[has_rgb ? 1 : 0], x[has_rgb ? 2 : 0], alpha};
}

template <class Stored>
ag::Tensor to_tensor(const Pixels& pixels, const ImageOptions& options) {
  constexpr auto kLargest = static_cast<float>(static_cast<Stored>(~Stored{0}));
  const auto number = [&](std::int64_t i) {
    Stored stored;
    std::memcpy(&stored, pixels.bytes.get() + static_cast<std::size_t>(i) * sizeof stored,
                sizeof stored);
    const auto x = static_cast<float>(stored);
    return options.scale ? static_cast<float>(double{x} * *options.scale) : x / kLargest;
  };
  const float opaque = options.scale ? static_cast<float>(double{kLargest} * *options.scale) : 1.0f;
  const ImageInfo& info = pixels.info;
  const std::int64_t n = info.height * info.width, channels = options.color == Color::as_stored
                                                                  ? info.channels
                                                                  : channels_of(options.color);
  ag::Tensor out = ag::empty({channels, info.height, info.width});
  float* to = out.mutable_data<float>();
  for (std::int64_t i = 0; i < n; ++i) {
    Pixel pixel{};
    for (std::int64_t c = 0; c < info.channels; ++c)
      pixel[static_cast<std::size_t>(c)] = number(i * info.channels + c);
    if (channels != info.channels) pixel = in_color(pixel, info.channels, channels, opaque);
    for (std::int64_t c = 0; c < channels; ++c) to[c * n + i] = pixel[static_cast<std::size_t>(c)];
  }
  return out;
}

// As EXIF's orientation says: of 5 to 8 rows are columns, and then sides change.
ag::Tensor turned(const ag::Tensor& x, int orientation) {
  const ag::Tensor y = orientation >= 5 ? ag::transpose(x) : x;
  ag::Axes axes;
  if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8)
    axes.push_back(1);
  if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7)
    axes.push_back(2);
  return axes.empty() ? y : ag::flip(y, axes);
}

// Throws unless it is (channels, height, width) or (height, width), then with one channel.
ImageInfo check_image(const std::string& path, const ag::Tensor& x, int depth) {
  if (depth != 8 && depth != 16) fail(path, "the depth of PNG must be 8 or 16, got {}", depth);
  if (!x.defined()) fail(path, "an image must be defined, got an undefined tensor");
  const bool planes = x.ndim() == 3;
  const std::int64_t channels = planes ? x.size(0) : 1;
  if (x.ndim() < 2 || x.ndim() > 3 || channels < 1 || channels > 4 || x.numel() == 0)
    fail(path, "an image must have shape (channels, height, width) with 1 to 4 channels, got {}",
         x.shape());
  constexpr std::int64_t kLongest = 1'000'000;  // as libpng reads
  const std::int64_t height = x.size(planes ? 1 : 0), width = x.size(planes ? 2 : 1);
  if (height > kLongest || width > kLongest)
    fail(path, "an image must have at most {} rows and columns, got {}", kLongest, x.shape());
  return {height, width, channels, depth};
}

template <class T, class Stored>
void quantize(const std::string& path, const T* from, Pixels& pixels) {
  constexpr auto kLargest = static_cast<double>(static_cast<Stored>(~Stored{0}));
  const std::int64_t n = pixels.info.height * pixels.info.width, channels = pixels.info.channels;
  pixels.allocate();
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < n; ++i) {
      const double x = static_cast<double>(from[c * n + i]);
      if (!(x >= 0 && x <= 1))
        fail(path, "values of an image must be in [0, 1], got {}; clamp them, or divide by 255", x);
      const auto stored = static_cast<Stored>(std::floor(x * kLargest + 0.5));
      std::memcpy(pixels.bytes.get() + static_cast<std::size_t>(i * channels + c) * sizeof stored,
                  &stored, sizeof stored);
    }
}

}  // namespace

ag::Tensor read_image(const std::string& path, const ImageOptions& options) {
  if (options.max_pixels < 1)
    fail("read_image", "max_pixels must be at least 1, got {}", options.max_pixels);
  if (options.scale && !std::isfinite(*options.scale))
    fail("read_image", "scale must be finite, got {}", *options.scale);
  try {
    const Pixels pixels = read(path, options.max_pixels);
    const ag::Tensor image = pixels.info.depth == 16 ? to_tensor<std::uint16_t>(pixels, options)
                                                     : to_tensor<std::uint8_t>(pixels, options);
    return options.exif_transpose ? turned(image, pixels.info.orientation) : image;
  } catch (const std::bad_alloc&) {
    fail(path, "the picture must fit in memory, got none");
  }
}

ImageInfo read_image_info(const std::string& path) { return read(path, {}).info; }

static std::string encode(const std::string& where, const ag::Tensor& image,
                          const PngOptions& options) {
  Pixels pixels{check_image(where, image, options.depth), {}};
  const ag::Tensor x = image.detach();
  ag::dispatch_floating(where, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (options.depth == 16)
      quantize<T, std::uint16_t>(where, x.data<T>(), pixels);
    else
      quantize<T, std::uint8_t>(where, x.data<T>(), pixels);
  });
  return detail::png_bytes(where, pixels);
}

std::string encode_png(const ag::Tensor& image, const PngOptions& options) {
  return encode("encode_png", image, options);
}

void write_png(const std::string& path, const ag::Tensor& image, const PngOptions& options) {
  const std::string bytes = encode(path, image, options);
  nn::detail::Replacement file(path);
  file.write(bytes);
  file.commit();
}

}  // namespace nn::data
