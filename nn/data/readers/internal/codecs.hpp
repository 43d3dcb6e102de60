#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "nn/data/readers/image_file.hpp"
#include "nn/data/readers/input_file.hpp"

/// What is done by libpng and libjpeg. Their errors are jumps: no object with a destructor may
/// begin to live between the call into them and the jump.
namespace nn::data::detail {

/// A picture as it is stored: channels next to each other, 16 bits in the order of the machine.
struct Pixels {
  ImageInfo info{};
  std::unique_ptr<std::uint8_t[]> bytes{};

  std::size_t row() const {
    return static_cast<std::size_t>(info.width * info.channels * info.depth / 8);
  }
  /// Not zeroed: the memory of rows that a truncated file does not have is never touched.
  void allocate() { bytes.reset(new std::uint8_t[static_cast<std::size_t>(info.height) * row()]); }
};

/// A file from its first byte, of which the first few have been looked at.
struct PictureFile {
  InputFile file;
  std::uint8_t head[8];
  std::size_t in_head, taken = 0;

  explicit PictureFile(const std::string& path);
  std::size_t read(void* out, std::size_t n);
};

/// Gives it its bytes. Throws if the picture has more than `max_pixels` pixels.
void allocate(const std::string& path, Pixels& pixels, std::int64_t max_pixels);

/// Without `max_pixels` the info alone.
Pixels read_png(PictureFile& file, std::optional<std::int64_t> max_pixels);
Pixels read_jpeg(PictureFile& file, std::optional<std::int64_t> max_pixels);
/// The bytes of a PNG file; `path` is for errors.
std::string png_bytes(const std::string& path, Pixels& pixels);

}  // namespace nn::data::detail
