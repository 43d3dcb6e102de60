#pragma once

#include <cstdint>
#include <utility>

#include "autograd/core/random.hpp"
#include "nn/data/images/augment.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// How pixels between pixels are made, by PyTorch's names: nearest takes the pixel at ⌊i · in /
/// out⌋, nearest_exact the one whose middle is nearest, as PIL does.
enum class Resample : std::uint8_t { nearest, nearest_exact, bilinear, bicubic };

/// Options of `resize`.
struct ResizeOptions {
  Resample mode = Resample::bilinear;
  /// Where the image becomes smaller, each new pixel is a weighted mean of all that it covers, as
  /// in PIL. Without it, as `interpolate` of PyTorch does by default, it sees two (bicubic: four)
  /// pixels of a row. For bilinear and bicubic.
  bool antialias = true;
};

/// Images in another size, float32 or float64; corners are not aligned. As PyTorch's `interpolate`
/// on floating numbers: bicubic takes a = -0.5 with antialias, -0.75 without, and may leave the
/// range of the pixels. (On bytes PIL and PyTorch round and clamp between the two passes.) Off the
/// tape.
ag::Tensor resize(const ag::Tensor& x, ImageSize size, const ResizeOptions& options = {});
/// The shorter side becomes `side`, the longer one side · longer / shorter, rounded down, as in
/// torchvision.
ag::Tensor resize_shorter(const ag::Tensor& x, std::int64_t side,
                          const ResizeOptions& options = {});

/// Options of `rotate`, as in torchvision.
struct RotationOptions {
  Resample mode = Resample::nearest;  ///< or bilinear
  double fill = 0;                    ///< of what lies outside of the image
};

/// Images turned about their middle, counter-clockwise by degrees, in their size. float32 or
/// float64, off the tape.
ag::Tensor rotate(const ag::Tensor& x, double degrees, const RotationOptions& options = {});
/// Each image turned by an angle of its own in [-degrees, degrees).
ag::Tensor random_rotation(const ag::Tensor& x, double degrees, const RotationOptions& options,
                           ag::Generator& generator);
ag::Tensor random_rotation(const ag::Tensor& x, double degrees, ag::Generator& generator);

}  // namespace nn::data

#pragma GCC visibility pop
