#pragma once

#include "autograd/core/random.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Changes of the colours of images in [0, 1], float32 or float64 (n, channels, height, width), or
/// of one image without n. Results are clamped to [0, 1] and off the tape.
namespace nn::data {

namespace ag = autograd;

/// x · factor.
ag::Tensor adjust_brightness(const ag::Tensor& x, double factor);
/// Away from the mean of the grey image (0.299 red + 0.587 green + 0.114 blue), or towards it:
/// factor · x + (1 - factor) · mean, with a mean for each image. One channel or three.
ag::Tensor adjust_contrast(const ag::Tensor& x, double factor);
/// The same from the grey of each pixel: 0 is grey. Of one channel, x itself.
ag::Tensor adjust_saturation(const ag::Tensor& x, double factor);
/// The hue turned by `shift`, in [-0.5, 0.5], of a full turn (by way of HSV). Of one channel, x
/// itself.
ag::Tensor adjust_hue(const ag::Tensor& x, double shift);

/// Options of `color_jitter`, as torchvision's ColorJitter has them.
struct ColorJitterOptions {
  double brightness = 0;  ///< the factor is drawn from [max(0, 1 - brightness), 1 + brightness]
  double contrast = 0;    ///< likewise
  double saturation = 0;  ///< likewise
  double hue = 0;         ///< the shift is drawn from [-hue, hue]; at most 0.5
};

/// Each image with a brightness, contrast, saturation and hue of its own, in an order of its own;
/// what is 0 is left out. A function of the images and the generator, whatever the number of
/// threads.
ag::Tensor color_jitter(const ag::Tensor& x, const ColorJitterOptions& options,
                        ag::Generator& generator);

}  // namespace nn::data

#pragma GCC visibility pop
