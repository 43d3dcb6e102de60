#include "nn/data/images/augment.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "autograd/ops/ops.hpp"
#include "nn/data/images/internal/images.hpp"

namespace nn::data {

using autograd::fail;
using detail::Images;

Images::Images(const char* op, const ag::Tensor& images) {
  const bool fits = images.defined() && (images.ndim() == 3 || images.ndim() == 4);
  if (!fits)
    fail(op,
         "images must have shape (n, channels, height, width) or (channels, height, width), "
         "got {}",
         images.defined() ? fmt::format("{}", images.shape()) : "an undefined tensor");
  x = images.detach();
  const std::int64_t first = x.ndim() - 3;
  n = first == 1 ? x.size(0) : 1;
  channels = x.size(first);
  height = x.size(first + 1);
  width = x.size(first + 2);
}

ag::Tensor Images::of_size(std::int64_t rows, std::int64_t columns) const {
  ag::Shape shape = x.shape();
  shape[shape.ndim() - 2] = rows;
  shape[shape.ndim() - 1] = columns;
  return ag::empty(shape, x.dtype());
}

void detail::check_probability(const char* op, double p) {
  if (!(p >= 0 && p <= 1)) fail(op, "p must be in [0, 1], got {}", p);
}

namespace {

// In [0, n), n > 0.
std::int64_t below(std::int64_t n, ag::Generator& generator) {
  return static_cast<std::int64_t>(generator.below(static_cast<std::uint64_t>(n)));
}

double between(double low, double high, ag::Generator& generator) {
  return low + (high - low) * generator.uniform();
}

void check_size(const char* op, const Images& in, ImageSize size) {
  if (size.height < 1 || size.width < 1)
    fail(op, "the size must be at least 1 x 1, got {} x {}", size.height, size.width);
  if (size.height > in.height || size.width > in.width)
    fail(op,
         "images must be at least as large as the part, {} x {}, got {} x {}; pad or resize them",
         size.height, size.width, in.height, in.width);
}

// The part of each image that begins where `corner(image)` says.
template <class Corner>
ag::Tensor crop(const Images& in, ImageSize size, const Corner& corner) {
  ag::Tensor out = in.of_size(size.height, size.width);
  const auto width = ag::size_of(in.x.dtype());
  const auto* from = static_cast<const char*>(in.x.raw());
  auto* to = static_cast<char*>(out.raw_mutable());
  const auto bytes = static_cast<std::size_t>(size.width) * width;
  for (std::int64_t i = 0; i < in.n; ++i) {
    const auto [top, left] = corner(i);
    for (std::int64_t c = 0; c < in.channels; ++c)
      for (std::int64_t row = top; row < top + size.height; ++row, to += bytes) {
        const std::int64_t at = ((i * in.channels + c) * in.height + row) * in.width + left;
        std::memcpy(to, from + static_cast<std::size_t>(at) * width, bytes);
      }
  }
  return out;
}

ag::Tensor padded(const ag::Tensor& x, const ImagePadding& p, const CropOptions& options) {
  if (std::min({p.left, p.top, p.right, p.bottom}) < 0)
    fail("random_crop", "padding must be at least 0, got {}, {}, {}, {}", p.left, p.top, p.right,
         p.bottom);
  if (p.left == 0 && p.top == 0 && p.right == 0 && p.bottom == 0) return x;
  return ag::pad(x, {p.left, p.right, p.top, p.bottom}, options.mode, options.fill);
}

// What an image lacks of the size, on both sides, as torchvision has it.
ImagePadding lacking(const ag::Tensor& x, ImageSize size) {
  const Images in("random_crop", x);
  return {std::max<std::int64_t>(size.width - in.width, 0),
          std::max<std::int64_t>(size.height - in.height, 0)};
}

// Each image, with probability p, in the order of rows or columns turned round.
ag::Tensor flip(const char* op, const ag::Tensor& x, double p, std::int64_t axis,
                ag::Generator& generator) {
  const ag::detail::Named as(op);
  detail::check_probability(op, p);
  const Images in(op, x);
  ag::Tensor out = in.x.clone();
  const ag::Tensor flipped = ag::flip(in.x, {axis});
  const auto bytes = static_cast<std::size_t>(in.image()) * ag::size_of(x.dtype());
  if (bytes == 0) return out;
  for (std::int64_t i = 0; i < in.n; ++i) {
    if (generator.uniform() >= p) continue;
    const std::size_t at = static_cast<std::size_t>(i) * bytes;
    std::memcpy(static_cast<char*>(out.raw_mutable()) + at,
                static_cast<const char*>(flipped.raw()) + at, bytes);
  }
  return out;
}

void check_erasing(const ErasingOptions& o) {
  detail::check_probability("random_erasing", o.p);
  if (!(o.scale[0] >= 0 && o.scale[0] <= o.scale[1] && o.scale[1] <= 1))
    fail("random_erasing", "scale must be a range in [0, 1], got {} to {}", o.scale[0], o.scale[1]);
  if (!(o.ratio[0] > 0 && o.ratio[0] <= o.ratio[1] && std::isfinite(o.ratio[1])))
    fail("random_erasing", "ratio must be a finite range above 0, got {} to {}", o.ratio[0],
         o.ratio[1]);
}

struct Rectangle {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
};

Rectangle draw_rectangle(const Images& in, const ErasingOptions& o, ag::Generator& generator) {
  const auto area = static_cast<double>(in.plane());
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double share = between(o.scale[0], o.scale[1], generator) * area;
    const double ratio = std::exp(between(std::log(o.ratio[0]), std::log(o.ratio[1]), generator));
    const double h = std::nearbyint(std::sqrt(share * ratio)),
                 w = std::nearbyint(std::sqrt(share / ratio));
    if (!(h < static_cast<double>(in.height) && w < static_cast<double>(in.width))) continue;
    const auto height = static_cast<std::int64_t>(h), width = static_cast<std::int64_t>(w);
    const std::int64_t top = below(in.height - height + 1, generator);
    return {top, below(in.width - width + 1, generator), height, width};
  }
  return {};
}

// From a gamma distribution, by its logarithm: that of a small alpha fits in no double (Marsaglia
// and Tsang 2000).
double log_gamma_draw(double alpha, ag::Generator& generator) {
  const auto positive = [&] { return 1 - generator.uniform(); };
  if (alpha < 1) return log_gamma_draw(alpha + 1, generator) + std::log(positive()) / alpha;
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double z = generator.normal(), root = 1 + c * z, v = root * root * root;
    if (root <= 0) continue;
    if (std::log(positive()) < 0.5 * z * z + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

double beta_draw(double alpha, ag::Generator& generator) {
  const double a = log_gamma_draw(alpha, generator), b = log_gamma_draw(alpha, generator);
  return 1 / (1 + std::exp(b - a));
}

ag::Tensor as_probabilities(const Batch& batch, std::int64_t classes) {
  if (ag::is_floating(batch.y.dtype())) return batch.y.detach();
  if (batch.y.dtype() != ag::int64 || batch.y.ndim() != 1)
    fail("mixup", "labels must be int64 (n,) or floating, got {} {}", ag::name(batch.y.dtype()),
         batch.y.shape());
  if (classes < 1)
    fail("mixup", "classes must be the number of classes of the labels, got {}", classes);
  return ag::one_hot(batch.y, classes).to(batch.x.dtype());
}

}  // namespace

ag::Tensor random_crop(const ag::Tensor& x, ImageSize size, const CropOptions& options,
                       ag::Generator& generator) {
  const ag::detail::Named as("random_crop");
  ag::Tensor images = padded(Images("random_crop", x).x, options.padding, options);
  if (options.pad_if_needed) images = padded(images, lacking(images, size), options);
  const Images in("random_crop", images);
  check_size("random_crop", in, size);
  return crop(in, size, [&](std::int64_t) {
    const std::int64_t top = below(in.height - size.height + 1, generator);
    return std::array{top, below(in.width - size.width + 1, generator)};
  });
}

ag::Tensor random_crop(const ag::Tensor& x, ImageSize size, ag::Generator& generator) {
  return random_crop(x, size, {}, generator);
}

ag::Tensor center_crop(const ag::Tensor& x, ImageSize size) {
  const Images in("center_crop", x);
  check_size("center_crop", in, size);
  return crop(in, size, [&](std::int64_t) {
    return std::array{(in.height - size.height) / 2, (in.width - size.width) / 2};
  });
}

ag::Tensor random_horizontal_flip(const ag::Tensor& x, double p, ag::Generator& generator) {
  return flip("random_horizontal_flip", x, p, -1, generator);
}
ag::Tensor random_horizontal_flip(const ag::Tensor& x, ag::Generator& generator) {
  return random_horizontal_flip(x, 0.5, generator);
}
ag::Tensor random_vertical_flip(const ag::Tensor& x, double p, ag::Generator& generator) {
  return flip("random_vertical_flip", x, p, -2, generator);
}
ag::Tensor random_vertical_flip(const ag::Tensor& x, ag::Generator& generator) {
  return random_vertical_flip(x, 0.5, generator);
}

ag::Tensor random_erasing(const ag::Tensor& x, const ErasingOptions& options,
                          ag::Generator& generator) {
  check_erasing(options);
  const Images in("random_erasing", x);
  ag::Tensor out = in.x.clone();
  ag::dispatch_floating("random_erasing", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* image = out.mutable_data<T>();
    for (std::int64_t i = 0; i < in.n; ++i, image += in.image()) {
      if (generator.uniform() >= options.p) continue;
      const Rectangle r = draw_rectangle(in, options, generator);
      for (std::int64_t c = 0; c < in.channels; ++c)
        for (std::int64_t row = r.top; row < r.top + r.height; ++row) {
          T* to = image + (c * in.height + row) * in.width + r.left;
          for (std::int64_t j = 0; j < r.width; ++j)
            to[j] = static_cast<T>(options.noise ? generator.normal() : options.value);
        }
    }
  });
  return out;
}

ag::Tensor random_erasing(const ag::Tensor& x, ag::Generator& generator) {
  return random_erasing(x, {}, generator);
}

Batch mixup(const Batch& batch, const MixupOptions& options, ag::Generator& generator) {
  const ag::detail::Named as("mixup");
  if (!(options.alpha > 0 && std::isfinite(options.alpha)))
    fail("mixup", "alpha must be finite and above 0, got {}", options.alpha);
  if (!batch.x.defined() || !batch.y.defined() || batch.x.ndim() == 0 || batch.y.ndim() == 0 ||
      batch.x.size(0) != batch.y.size(0))
    fail("mixup", "x and y must have the same number of rows, got {}",
         batch.x.defined() && batch.y.defined()
             ? fmt::format("{} and {}", batch.x.shape(), batch.y.shape())
             : "an undefined tensor");
  if (!ag::is_floating(batch.x.dtype()))
    fail("mixup", "x must be float32 or float64, got {}", ag::name(batch.x.dtype()));
  const double lambda = beta_draw(options.alpha, generator);
  const ag::Tensor other = ag::randperm(batch.x.size(0), generator);
  const auto mix = [&](const ag::Tensor& t) {
    return lambda * t + (1 - lambda) * ag::index_select(t, 0, other);
  };
  return {mix(batch.x.detach()), mix(as_probabilities(batch, options.classes))};
}

}  // namespace nn::data
