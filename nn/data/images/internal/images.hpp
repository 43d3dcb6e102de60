#pragma once

#include <cstddef>
#include <cstdint>

#include "autograd/core/tensor.hpp"

namespace nn::data::detail {

/// Images off the tape: (n, channels, height, width), or one of them without its first axis.
struct Images {
  autograd::Tensor x;
  std::int64_t n, channels, height, width;

  /// Throws, for `op`, on any other shape.
  Images(const char* op, const autograd::Tensor& images);
  /// Images of another size, of the same number of axes.
  autograd::Tensor of_size(std::int64_t rows, std::int64_t columns) const;
  std::int64_t plane() const { return height * width; }
  std::int64_t image() const { return channels * plane(); }
};

/// Throws, for `op`, unless p is in [0, 1].
void check_probability(const char* op, double p);

}  // namespace nn::data::detail
