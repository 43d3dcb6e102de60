#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "autograd/core/inline_vector.hpp"
#include "autograd/ops/movement/movement.hpp"

#pragma GCC visibility push(default)

/// Spatial axes in another size.
namespace autograd {

/// How elements between elements are made, by PyTorch's names: `nearest` takes the element at
/// ⌊i · in / out⌋, `nearest_exact` the one whose middle is nearest (as PIL does); `linear`,
/// `bilinear` and `trilinear` are lines between neighbours along one, two and three axes, `bicubic`
/// cubic polynomials through four of them (Keys 1981, a = -0.75; -0.5 with antialias); `area` is
/// the mean of what an element covers, `adaptive_avg_pool2d`.
enum class InterpolateMode : std::uint8_t {
  nearest,
  nearest_exact,
  linear,
  bilinear,
  bicubic,
  trilinear,
  area
};
/// As PyTorch writes it: "nearest-exact".
std::string_view name(InterpolateMode mode);

/// Factors for sizes: one for all axes, or one for each.
class ScaleFactors : public InlineVector<double, 4> {
 public:
  ScaleFactors() = default;
  template <class... F>
  requires(sizeof...(F) > 0 && (std::is_arithmetic_v<F> && ...))
      ScaleFactors(F... factors) {  // NOLINT: `{.scale_factor = 2}`
    (push_back(static_cast<double>(factors)), ...);
  }
};

/// Options of `interpolate`: either a size or a scale factor.
struct InterpolateOptions {
  Integers size{};              ///< of the result: for all axes, or one for each
  ScaleFactors scale_factor{};  ///< positive; the size is ⌊size · factor⌋
  InterpolateMode mode = InterpolateMode::nearest;
  /// The middles of the outer elements stay where they are; else the outer edges do. For linear,
  /// bilinear, bicubic and trilinear.
  bool align_corners = false;
  /// Where x becomes smaller, each new element is a weighted mean of all that it covers, as in PIL.
  /// For bilinear and bicubic.
  bool antialias = false;
  /// Places follow from the sizes; else from the factor, where one is given. `area` always does.
  bool recompute_scale_factor = false;
};
/// x (batch, channels, …) with one, two or three spatial axes (linear: one, bilinear and bicubic:
/// two, trilinear: three) in another size, as PyTorch's `interpolate`. float32 or float64; linear
/// in x, so exact to any order. Spatial sizes are at least 1.
Tensor interpolate(const Tensor& x, const InterpolateOptions& options);

}  // namespace autograd

#pragma GCC visibility pop
