#pragma once

#include <array>
#include <cstdint>

#include "autograd/core/random.hpp"
#include "autograd/ops/movement/movement.hpp"
#include "nn/data/dataset.hpp"

#pragma GCC visibility push(default)

/// Changes of images (n, channels, height, width), or of one image without n; each of a batch by
/// random numbers of its own. A result is a function of the images and the generator, whatever the
/// number of threads, and off the tape. For `DataLoaderOptions::transform`.
namespace nn::data {

/// Height and width; one number is both.
struct ImageSize {
  std::int64_t height, width;
  ImageSize(std::int64_t side) : height(side), width(side) {}  // NOLINT: `random_crop(x, 32, …)`
  ImageSize(std::int64_t rows, std::int64_t columns) : height(rows), width(columns) {}
};

/// Pixels added on the sides; one number is all four.
struct ImagePadding {
  std::int64_t left = 0, top = 0, right = 0, bottom = 0;
  ImagePadding(std::int64_t all = 0)  // NOLINT: `{.padding = 4}`
      : left(all), top(all), right(all), bottom(all) {}
  ImagePadding(std::int64_t left_right, std::int64_t top_bottom)
      : left(left_right), top(top_bottom), right(left_right), bottom(top_bottom) {}
  ImagePadding(std::int64_t l, std::int64_t t, std::int64_t r, std::int64_t b)
      : left(l), top(t), right(r), bottom(b) {}
};

/// Options of `random_crop`, as torchvision's RandomCrop has them.
struct CropOptions {
  ImagePadding padding{};
  ag::PadMode mode = ag::PadMode::constant;
  double fill = 0;             ///< for the constant mode
  bool pad_if_needed = false;  ///< pad a smaller image further, on both sides, in the same way
};

/// A part of each image, anywhere in the padded one. Of any dtype. Throws if the padded image is
/// smaller than the part.
ag::Tensor random_crop(const ag::Tensor& x, ImageSize size, const CropOptions& options,
                       ag::Generator& generator);
ag::Tensor random_crop(const ag::Tensor& x, ImageSize size, ag::Generator& generator);
/// The middle of each image; of an odd margin the smaller half is above and to the left. (That of
/// torchvision alternates: it begins at 0, 2, 2, 4 for margins of 1, 3, 5, 7.) Of any dtype. Throws
/// if the image is smaller.
ag::Tensor center_crop(const ag::Tensor& x, ImageSize size);

/// Each image mirrored with probability p, left to right or upside down. Of any dtype.
ag::Tensor random_horizontal_flip(const ag::Tensor& x, double p, ag::Generator& generator);
ag::Tensor random_horizontal_flip(const ag::Tensor& x, ag::Generator& generator);
ag::Tensor random_vertical_flip(const ag::Tensor& x, double p, ag::Generator& generator);
ag::Tensor random_vertical_flip(const ag::Tensor& x, ag::Generator& generator);

/// Options of `random_erasing`, with the defaults of torchvision.
struct ErasingOptions {
  double p = 0.5;                           ///< of each image
  std::array<double, 2> scale{0.02, 0.33};  ///< range of the share of the image's area
  std::array<double, 2> ratio{0.3, 3.3};    ///< range of height / width
  double value = 0;                         ///< what the part becomes
  bool noise = false;                       ///< or standard normal numbers, one a pixel and channel
};

/// One rectangle of each image erased (Zhong 2017): of an area and an inverse aspect that are drawn
/// up to ten times until it fits, or else none. float32 or float64.
ag::Tensor random_erasing(const ag::Tensor& x, const ErasingOptions& options,
                          ag::Generator& generator);
ag::Tensor random_erasing(const ag::Tensor& x, ag::Generator& generator);

/// Options of `mixup`.
struct MixupOptions {
  double alpha = 1;          ///< λ is drawn from Beta(alpha, alpha)
  std::int64_t classes = 0;  ///< of labels that are int64; they become probabilities
};

/// λ times each sample plus 1 - λ times a partner, x and targets alike (Zhang 2018), with one λ for
/// the batch. Partners are the batch in a random order: a sample may be its own. x is float32 or float64 of any shape (n, …); y int64 (n), then given
/// as probabilities (n, classes) in the dtype of x, as `cross_entropy` takes them, or already
/// floating.
Batch mixup(const Batch& batch, const MixupOptions& options, ag::Generator& generator);

}  // namespace nn::data

#pragma GCC visibility pop
