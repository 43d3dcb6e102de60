#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "nn/data/dataloader.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

/// Shifts and scales each channel of images to mean 0 and standard deviation 1. Fit it to the
/// training images alone. A module, so that it can be part of a model and be saved and loaded with
/// it.
class Normalize : public Module {
 public:
  Buffer mean, scale;  ///< float64 (channels); undefined before there are any
  NN_MODULE(mean, scale)

  Normalize() = default;
  /// Mean 0 and scale 1 for so many channels: what `nn::load` fills.
  explicit Normalize(std::int64_t channels);
  /// Known figures, one for each channel: `Normalize({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225})`
  /// is what models trained on ImageNet expect. Throws unless means are finite and scales above 0.
  Normalize(std::initializer_list<double> mean, std::initializer_list<double> scale);

  /// Means and standard deviations (divisor n) over all pixels of each channel of images, float32
  /// or float64 (n, channels, height, width); a constant channel gets scale 1. Throws when there is
  /// no pixel, or one that is not finite.
  static Normalize fit(const ag::Tensor& images);
  /// The same over the x of one epoch of a loader, for images that do not fit in memory. It runs that
  /// epoch, with the transform of the loader: the next loop is the epoch after it.
  template <class D>
  static Normalize fit(DataLoader<D>& loader) {
    Moments moments;
    for (const auto& batch : loader) moments.add(batch.x);
    return moments.result();
  }

  /// (x - mean) / scale in the dtype of x, (n, channels, height, width) or one image without n.
  /// Differentiable.
  ag::Tensor transform(const ag::Tensor& x) const;
  /// x · scale + mean: images to look at.
  ag::Tensor inverse_transform(const ag::Tensor& x) const;
  ag::Tensor forward(const ag::Tensor& x) const { return transform(x); }
  std::string extra_repr() const override;

 private:
  // Of the pixels so far: their number, and (channels) means and sums of squared deviations.
  struct Moments {
    double pixels = 0;
    ag::Tensor mean, squares;
    void add(const ag::Tensor& images);
    Normalize result() const;
  };
  ag::Tensor planes(const char* op, const ag::Tensor& figures, const ag::Tensor& x) const;
};

}  // namespace nn::data

#pragma GCC visibility pop
