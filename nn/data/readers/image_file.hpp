#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

namespace ag = autograd;

/// The channels that a picture is read as. Grey is 0.299 red + 0.587 green + 0.114 blue, not
/// rounded; grey as colour is three times the same. Alpha that is not asked for is dropped, not
/// blended; where there is none it is 1.
enum class Color : std::uint8_t { as_stored, grey, grey_alpha, rgb, rgba };

/// Options of `read_image`.
struct ImageOptions {
  Color color = Color::as_stored;
  /// What a stored number is multiplied by. Without it the largest number of the file's depth
  /// becomes 1. For pictures whose numbers are a measure, such as 16 bits of millimetres: 0.001.
  std::optional<double> scale{};
  /// Turn a JPEG as its EXIF data say that it was held, as PIL's ImageOps.exif_transpose.
  bool exif_transpose = false;
  /// A picture with more is refused before it takes memory.
  std::int64_t max_pixels = std::int64_t{1} << 27;
};

/// What a picture file says of itself.
struct ImageInfo {
  std::int64_t height, width;
  std::int64_t channels;  ///< 1: grey, 2: with alpha, 3: RGB, 4: with alpha; palettes are RGB
  int depth;              ///< bits of a channel: 8 or 16; 1, 2 and 4 bits of grey count as 8
  int orientation = 1;    ///< of a JPEG by EXIF, 1 to 8; height and width are those before it
};

/// Reads a PNG or JPEG file, told apart by how it begins, whatever its name: float32 (channels,
/// height, width), in [0, 1] unless options say otherwise. Numbers of 16 bits are read as such.
/// PNG of every kind; JPEG that is grey or in colour, not CMYK. Colour profiles and gamma are not
/// applied, EXIF's orientation only on request, as in PIL and torchvision. Throws, before memory is taken, on too
/// many pixels, and on files that are truncated or damaged; and in a build without libpng or
/// libjpeg on files of that kind.
ag::Tensor read_image(const std::string& path, const ImageOptions& options = {});
/// What `read_image` will find, from the beginning of the file alone.
ImageInfo read_image_info(const std::string& path);

/// Options of `encode_png` and `write_png`.
struct PngOptions {
  int depth = 8;  ///< bits of a channel, 8 or 16
};

/// The bytes of a PNG file of float32 or float64 (channels, height, width), of 1 to 4 channels, or
/// (height, width). 1 becomes the largest number of the depth; between, the nearest one. Throws if a
/// value is not in [0, 1], and in a build without libpng.
std::string encode_png(const ag::Tensor& image, const PngOptions& options = {});
/// Writes what `encode_png` gives to a file, which takes the place of an older one in one stroke.
void write_png(const std::string& path, const ag::Tensor& image, const PngOptions& options = {});

}  // namespace nn::data

#pragma GCC visibility pop
