#pragma once

#include <cstdint>
#include <string_view>

#include "autograd/core/tensor.hpp"

/// Tensors as pictures, for logs and reports.
namespace nn::detail {

namespace ag = autograd;

/// Throws unless `images` are floats (n, channels, height, width) of 1, 3 or 4 channels with at
/// least one pixel, or, without channels, (n, height, width).
void check_pictures(std::string_view where, const ag::Tensor& images);

/// What is outside of [0, 1] clipped to it, NaN as 0; float32.
ag::Tensor clipped(const ag::Tensor& images);

/// float32 images in [0, 1]: as they are where all lie in it, else with the least finite value as 0
/// and the largest as 1, so that standardised pictures can be seen. NaN is 0.
ag::Tensor stretched(const ag::Tensor& images);

/// Pictures (n, channels, height, width) beside each other in at most `columns` columns, two pixels
/// apart on black: (channels, height, width).
ag::Tensor picture_grid(const ag::Tensor& images, std::int64_t columns = 8);

}  // namespace nn::detail
