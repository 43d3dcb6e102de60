#include "nn/data/images/resample.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "nn/data/images/internal/images.hpp"

namespace nn::data {

using autograd::fail;
using detail::Images;

namespace {

// What a new pixel of a row is made of: pixels `at` with their weights.
struct Taps {
  std::size_t per_pixel;
  std::vector<std::int64_t> at;
  std::vector<double> weights;
};

double linear_weight(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys 1981.
double cubic_weight(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

Taps nearest_taps(std::int64_t in, std::int64_t out, bool exact) {
  Taps taps{1, {}, std::vector<double>(static_cast<std::size_t>(out), 1.0)};
  for (std::int64_t i = 0; i < out; ++i)
    taps.at.push_back(exact ? (2 * i + 1) * in / (2 * out) : i * in / out);
  return taps;
}

// Around the place of the new pixel among the old ones; beyond the edge the last pixel counts.
Taps plain_taps(std::int64_t in, std::int64_t out, bool cubic) {
  Taps taps{cubic ? std::size_t{4} : std::size_t{2}, {}, {}};
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (std::int64_t i = 0; i < out; ++i) {
    const double place = (static_cast<double>(i) + 0.5) * scale - 0.5, floor = std::floor(place);
    for (int k = cubic ? -1 : 0; k <= (cubic ? 2 : 1); ++k) {
      const double x = floor + k;
      taps.at.push_back(std::clamp<std::int64_t>(static_cast<std::int64_t>(x), 0, in - 1));
      taps.weights.push_back(cubic ? cubic_weight(place - x, -0.75) : linear_weight(place - x));
    }
  }
  return taps;
}

// All that the new pixel covers; beyond the edge there is nothing, and the rest adds up to 1.
Taps antialias_taps(std::int64_t in, std::int64_t out, bool cubic) {
  const double scale = static_cast<double>(in) / static_cast<double>(out),
               wide = std::max(scale, 1.0), support = (cubic ? 2 : 1) * wide;
  Taps taps{static_cast<std::size_t>(
                std::min<double>(2 * std::ceil(support) + 1, static_cast<double>(in))),
            {},
            {}};
  for (std::int64_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const auto end = std::min(static_cast<std::int64_t>(center + support + 0.5), in);
    const std::size_t begin = taps.weights.size();
    double sum = 0;
    for (std::int64_t k = first; k < first + static_cast<std::int64_t>(taps.per_pixel); ++k) {
      const double x = (static_cast<double>(k) + 0.5 - center) / wide;
      const double weight = k >= end ? 0 : cubic ? cubic_weight(x, -0.5) : linear_weight(x);
      taps.at.push_back(std::min(k, in - 1));
      taps.weights.push_back(weight);
      sum += weight;
    }
    for (std::size_t k = begin; k < taps.weights.size(); ++k) taps.weights[k] /= sum;
  }
  return taps;
}

Taps taps_of(std::int64_t in, std::int64_t out, const ResizeOptions& o) {
  if (o.mode == Resample::nearest || o.mode == Resample::nearest_exact)
    return nearest_taps(in, out, o.mode == Resample::nearest_exact);
  const bool cubic = o.mode == Resample::bicubic;
  return o.antialias ? antialias_taps(in, out, cubic) : plain_taps(in, out, cubic);
}

// One pass along rows: `lines` rows of `in` pixels become rows of taps.
template <class From, class To>
void resize_rows(const From* from, To* to, std::int64_t lines, std::int64_t in, const Taps& taps) {
  const std::size_t out = taps.at.size() / taps.per_pixel;
  for (; lines > 0; --lines, from += in)
    for (std::size_t i = 0, k = 0; i < out; ++i) {
      double sum = 0;
      for (const std::size_t end = k + taps.per_pixel; k < end; ++k)
        sum += taps.weights[k] * static_cast<double>(from[taps.at[k]]);
      *to++ = static_cast<To>(sum);
    }
}

// The other pass, down the columns of one plane: a row of sums at a time.
template <class From, class To>
void resize_columns(const From* from, To* to, std::int64_t width, const Taps& taps) {
  std::vector<double> sums(static_cast<std::size_t>(width));
  for (std::size_t k = 0; k < taps.at.size();) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (const std::size_t end = k + taps.per_pixel; k < end; ++k) {
      if (taps.weights[k] == 0) continue;
      const From* row = from + taps.at[k] * width;
      for (std::size_t j = 0; j < sums.size(); ++j)
        sums[j] += taps.weights[k] * static_cast<double>(row[j]);
    }
    for (const double sum : sums) *to++ = static_cast<To>(sum);
  }
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
  ag::Tensor out = in.of_size(size.height, size.width);
  ag::dispatch_floating("resize", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Taps rows = taps_of(in.height, size.height, options),
               columns = taps_of(in.width, size.width, options);
    std::vector<double> wide(static_cast<std::size_t>(in.height * size.width));
    const T* from = in.x.template data<T>();
    T* to = out.mutable_data<T>();
    for (std::int64_t i = 0; i < in.n * in.channels; ++i) {
      resize_rows(from + i * in.plane(), wide.data(), in.height, in.width, columns);
      resize_columns(wide.data(), to + i * size.height * size.width, size.width, rows);
    }
  });
  return out;
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
    fail("random_rotation", "degrees must be at least 0, got {}", degrees);
  return rotated("random_rotation", x, options,
                 [&] { return degrees * (2 * generator.uniform() - 1); });
}

ag::Tensor random_rotation(const ag::Tensor& x, double degrees, ag::Generator& generator) {
  return random_rotation(x, degrees, {}, generator);
}

}  // namespace nn::data
