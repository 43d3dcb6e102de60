#include "nn/data/images/resample.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/ops/neural/interpolate.hpp"
#include "nn/data/images/internal/images.hpp"

namespace nn::data {

using autograd::fail;
using detail::Images;

namespace {

ag::InterpolateMode mode_of(Resample mode) {
  switch (mode) {
    case Resample::nearest:
      return ag::InterpolateMode::nearest;
    case Resample::nearest_exact:
      return ag::InterpolateMode::nearest_exact;
    case Resample::bilinear:
      return ag::InterpolateMode::bilinear;
    case Resample::bicubic:
      return ag::InterpolateMode::bicubic;
  }
  fail("resize", "the mode must be one of Resample, got {}", static_cast<int>(mode));
}

// What a pixel of a turned image is made of: up to four pixels, -1 for outside, with their weights.
struct Spot {
  std::int64_t at[4];
  double weights[4];
};

std::int64_t floor_of(double x) {  // std::floor is a call where there is no SSE 4.1
  const auto whole = static_cast<std::int64_t>(x);
  return whole - (x < static_cast<double>(whole));
}

Spot spot_at(const Images& in, double row, double column, bool nearest) {
  const auto at = [&](std::int64_t r, std::int64_t c) {
    return r >= 0 && c >= 0 && r < in.height && c < in.width ? r * in.width + c : -1;
  };
  if (nearest) return {{at(floor_of(row + 0.5), floor_of(column + 0.5))}, {1}};
  const std::int64_t top = floor_of(row), left = floor_of(column);
  const double down = row - static_cast<double>(top), right = column - static_cast<double>(left);
  return {{at(top, left), at(top, left + 1), at(top + 1, left), at(top + 1, left + 1)},
          {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right}};
}

template <class T>
void rotate_image(const T* from, T* to, const Images& in, double degrees,
                  const RotationOptions& options) {
  const double angle = degrees * (3.14159265358979323846 / 180), cosine = std::cos(angle),
               sine = std::sin(angle);
  const double middle_row = 0.5 * static_cast<double>(in.height - 1),
               middle_column = 0.5 * static_cast<double>(in.width - 1);
  const bool nearest = options.mode == Resample::nearest;
  for (std::int64_t i = 0; i < in.height; ++i)
    for (std::int64_t j = 0; j < in.width; ++j, ++to) {
      const double y = static_cast<double>(i) - middle_row,
                   x = static_cast<double>(j) - middle_column;
      const Spot spot = spot_at(in, sine * x + cosine * y + middle_row,
                                cosine * x - sine * y + middle_column, nearest);
      const T* plane = from;
      const auto value = [&](int k) {
        return spot.at[k] < 0 ? options.fill : static_cast<double>(plane[spot.at[k]]);
      };
      for (std::int64_t c = 0; c < in.channels; ++c, plane += in.plane())
        to[c * in.plane()] =
            static_cast<T>(nearest ? value(0)
                                   : spot.weights[0] * value(0) + spot.weights[1] * value(1) +
                                         (spot.weights[2] * value(2) + spot.weights[3] * value(3)));
    }
}

// Each image by the angle that `draw` gives.
template <class Draw>
ag::Tensor rotated(const char* op, const ag::Tensor& x, const RotationOptions& options,
                   const Draw& draw) {
  const Images in(op, x);
  if (options.mode != Resample::nearest && options.mode != Resample::bilinear)
    fail(op, "the mode must be nearest or bilinear, got another one");
  ag::Tensor out = in.of_size(in.height, in.width);
  ag::dispatch_floating(op, out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < in.n; ++i)
      rotate_image(in.x.template data<T>() + i * in.image(),
                   out.template mutable_data<T>() + i * in.image(), in, draw(), options);
  });
  return out;
}

}  // namespace

ag::Tensor resize(const ag::Tensor& x, ImageSize size, const ResizeOptions& options) {
  constexpr std::int64_t kLongest = std::int64_t{1} << 30;  // products of two of them fit
  const Images in("resize", x);
  if (size.height < 1 || size.width < 1 || size.height > kLongest || size.width > kLongest)
    fail("resize", "the size must be in [1, {}], got {} x {}", kLongest, size.height, size.width);
  if (in.height < 1 || in.width < 1)
    fail("resize", "images must have a pixel, got {}", in.x.shape());
  const bool between = options.mode == Resample::bilinear || options.mode == Resample::bicubic;
  const ag::detail::Named as("resize");
  const ag::Tensor y = ag::interpolate(ag::reshape(in.x, {in.n, in.channels, in.height, in.width}),
                                       {.size = {size.height, size.width},
                                        .mode = mode_of(options.mode),
                                        .antialias = between && options.antialias});
  return in.x.ndim() == 3 ? ag::squeeze(y, 0) : y;
}

ag::Tensor resize_shorter(const ag::Tensor& x, std::int64_t side, const ResizeOptions& options) {
  const ag::detail::Named as("resize_shorter");
  const Images in("resize_shorter", x);
  const std::int64_t shorter = std::min(in.height, in.width),
                     longer = std::max(in.height, in.width);
  std::int64_t other = 0;
  if (shorter < 1 || side < 1 || __builtin_mul_overflow(side, longer, &other))
    fail("resize_shorter", "side and images must have a pixel, got {} for {}", side, in.x.shape());
  other /= shorter;
  return resize(x, in.height <= in.width ? ImageSize(side, other) : ImageSize(other, side),
                options);
}

ag::Tensor rotate(const ag::Tensor& x, double degrees, const RotationOptions& options) {
  if (!std::isfinite(degrees)) fail("rotate", "degrees must be finite, got {}", degrees);
  return rotated("rotate", x, options, [=] { return degrees; });
}

ag::Tensor random_rotation(const ag::Tensor& x, double degrees, const RotationOptions& options,
                           ag::Generator& generator) {
  if (!(degrees >= 0 && std::isfinite(degrees)))
    fail("random_rotation", "degrees must be finite and at least 0, got {}", degrees);
  return rotated("random_rotation", x, options,
                 [&] { return degrees * (2 * generator.uniform() - 1); });
}

ag::Tensor random_rotation(const ag::Tensor& x, double degrees, ag::Generator& generator) {
  return random_rotation(x, degrees, {}, generator);
}

}  // namespace nn::data
