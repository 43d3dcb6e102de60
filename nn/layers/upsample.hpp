#pragma once

#include "autograd/ops/neural/interpolate.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Spatial axes in another size; see `ag::interpolate`.
class Upsample : public Module {
 public:
  /// Either a size or a scale factor.
  explicit Upsample(const ag::InterpolateOptions& options);
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const { return ag::interpolate(x, options_); }
  std::string extra_repr() const override;

 private:
  ag::InterpolateOptions options_;
};

/// Options of `UpsamplingNearest2d` and `UpsamplingBilinear2d`: one of both.
struct UpsamplingOptions {
  ag::Integers size{};
  ag::ScaleFactors scale_factor{};
};

/// Images (batch, channels, height, width) in another size, by the nearest pixel.
class UpsamplingNearest2d : public Upsample {
 public:
  explicit UpsamplingNearest2d(const UpsamplingOptions& options)
      : Upsample({.size = options.size, .scale_factor = options.scale_factor}) {}
  NN_MODULE()
};

/// The same by lines between pixels; the corners stay where they are (align_corners).
class UpsamplingBilinear2d : public Upsample {
 public:
  explicit UpsamplingBilinear2d(const UpsamplingOptions& options)
      : Upsample({.size = options.size,
                  .scale_factor = options.scale_factor,
                  .mode = ag::InterpolateMode::bilinear,
                  .align_corners = true}) {}
  NN_MODULE()
};

}  // namespace nn

#pragma GCC visibility pop
