#include "nn/training/internal/pictures.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/ops/ops.hpp"

namespace nn::detail {

void check_pictures(std::string_view where, const ag::Tensor& images) {
  if (!images.defined()) ag::fail(where, "images must be defined, got an undefined tensor");
  const bool planes = images.ndim() == 4;
  const std::int64_t channels = planes ? images.size(1) : 1;
  if ((!planes && images.ndim() != 3) || images.numel() == 0 ||
      (channels != 1 && channels != 3 && channels != 4))
    ag::fail(where,
             "images must have shape (n, channels, height, width) with 1, 3 or 4 channels, "
             "or (n, height, width), got {}",
             images.shape());
  if (!ag::is_floating(images.dtype()))
    ag::fail(where, "images must be float32 or float64, got {}; convert with .to(float32) / 255",
             ag::name(images.dtype()));
}

namespace {

// f(element) of each, as float32.
template <class F>
ag::Tensor mapped(const ag::Tensor& x, F&& f) {
  const ag::Tensor from = x.detach().to(ag::float64);
  ag::Tensor out = ag::empty(x.shape());
  std::transform(from.data<double>(), from.data<double>() + from.numel(), out.mutable_data<float>(),
                 [&](double v) { return static_cast<float>(f(v)); });
  return out;
}

}  // namespace

ag::Tensor clipped(const ag::Tensor& images) {
  return mapped(images, [](double v) { return std::isnan(v) ? 0 : std::clamp(v, 0.0, 1.0); });
}

ag::Tensor stretched(const ag::Tensor& images) {
  const ag::Tensor x = images.detach().to(ag::float64);
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double v = x.data<double>()[i];
    if (std::isfinite(v)) least = std::min(least, v), most = std::max(most, v);
  }
  if (!(least < 0 || most > 1)) return clipped(images);
  const double range = most > least ? most - least : 1;
  return clipped(mapped(x, [&](double v) { return (v - least) / range; }));
}

ag::Tensor picture_grid(const ag::Tensor& images, std::int64_t columns) {
  constexpr std::int64_t kGap = 2;
  const std::int64_t n = images.size(0), channels = images.size(1);
  const std::int64_t height = images.size(2), width = images.size(3);
  columns = std::min(columns, n);
  const std::int64_t rows = (n + columns - 1) / columns;
  const std::int64_t down = height + kGap, across = width + kGap;
  ag::Tensor grid = ag::zeros({channels, rows * down - kGap, columns * across - kGap});
  const float* from = images.data<float>();
  float* to = grid.mutable_data<float>();
  const std::int64_t line = grid.size(2), plane = grid.size(1) * line;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t y = 0; y < height; ++y, from += width)
        std::copy_n(from, width,
                    to + c * plane + (i / columns * down + y) * line + i % columns * across);
  return grid;
}

}  // namespace nn::detail
