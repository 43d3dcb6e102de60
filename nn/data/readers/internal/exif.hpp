#pragma once

#include <cstddef>
#include <cstdint>

namespace nn::data::detail {

/// The orientation, 1 to 8, that the EXIF data of a JPEG marker give; 1 where they give none.
int exif_orientation(const std::uint8_t* marker, std::size_t size);

}  // namespace nn::data::detail
