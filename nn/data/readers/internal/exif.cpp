#include "nn/data/readers/internal/exif.hpp"

#include <cstring>

namespace nn::data::detail {
namespace {

// TIFF's numbers, in the order of bytes that it begins with; 0 beyond the end.
struct Tiff {
  const std::uint8_t* bytes;
  std::size_t size;
  bool big;

  std::uint32_t number(std::size_t at, std::size_t width) const {
    if (at > size || width > size - at) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < width; ++i)
      value = value << 8 | bytes[at + (big ? i : width - 1 - i)];
    return value;
  }
};

}  // namespace

int exif_orientation(const std::uint8_t* marker, std::size_t size) {
  constexpr std::size_t kHead = 6, kEntry = 12;
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  if (size < kHead + 8 || std::memcmp(marker, "Exif\0\0", kHead) != 0) return 1;
  const Tiff tiff{marker + kHead, size - kHead, marker[kHead] == 'M'};
  if (!tiff.big && marker[kHead] != 'I') return 1;
  const std::size_t directory = tiff.number(4, 4), entries = tiff.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * kEntry;
    if (at >= tiff.size) return 1;
    if (tiff.number(at, 2) != kOrientation) continue;
    const std::uint32_t value = tiff.number(at + 2, 2) == kShort ? tiff.number(at + 8, 2) : 0;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace nn::data::detail
