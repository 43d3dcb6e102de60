#include "nn/data/images/normalize.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/ops/ops.hpp"
#include "nn/data/images/internal/images.hpp"

namespace nn::data {

using autograd::fail;

namespace {

// Of one channel of one image: their sum, and whether they are all the same.
struct Sum {
  double sum = 0, low, high;
};

template <class T>
Sum sum_of(const T* x, std::int64_t n, std::int64_t image, std::int64_t channel) {
  Sum s{0, static_cast<double>(x[0]), static_cast<double>(x[0])};
  for (std::int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<double>(x[i]);
    if (!std::isfinite(value))
      fail("fit", "values must be finite, got {} in image {}, channel {}", value, image, channel);
    s.sum += value;
    s.low = std::min(s.low, value);
    s.high = std::max(s.high, value);
  }
  // The mean of equal values may be off by a rounding, which is no deviation.
  if (s.low == s.high) s.sum = s.low * static_cast<double>(n);
  return s;
}

template <class T>
double squares_of(const T* x, std::int64_t n, double mean) {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - mean;
    squares += d * d;
  }
  return squares;
}

}  // namespace

Normalize::Normalize(std::int64_t channels)
    : mean(ag::zeros({channels}, ag::float64)), scale(ag::ones({channels}, ag::float64)) {}

Normalize::Normalize(std::initializer_list<double> means, std::initializer_list<double> scales)
    : mean(ag::tensor(std::vector<double>(means))), scale(ag::tensor(std::vector<double>(scales))) {
  if (means.size() != scales.size() || means.size() == 0)
    fail("Normalize", "needs a mean and a scale for each channel, got {} and {}", means.size(),
         scales.size());
  for (const double m : means)
    if (!std::isfinite(m)) fail("Normalize", "means must be finite, got {}", m);
  for (const double s : scales)
    if (!(s > 0 && std::isfinite(s)))
      fail("Normalize", "scales must be finite and above 0, got {}", s);
}

// By images, each of which is merged into those before (Chan et al. 1979).
void Normalize::Moments::add(const ag::Tensor& images) {
  const detail::Images in("fit", images);
  if (!mean.defined()) {
    mean = ag::zeros({in.channels}, ag::float64);
    squares = ag::zeros({in.channels}, ag::float64);
  }
  if (mean.size(0) != in.channels)
    fail("fit", "all images must have {} channels, got {}", mean.size(0), in.x.shape());
  if (in.plane() == 0) return;
  const auto n = static_cast<double>(in.plane());
  ag::dispatch_floating("fit", in.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < in.n; ++i, pixels += n)
      for (std::int64_t c = 0; c < in.channels; ++c) {
        const T* x = in.x.template data<T>() + i * in.image() + c * in.plane();
        const double own = sum_of(x, in.plane(), i, c).sum / n;
        double& m = mean.template mutable_data<double>()[c];
        const double delta = own - m, share = n / (pixels + n);
        m += delta * share;
        squares.template mutable_data<double>()[c] +=
            squares_of(x, in.plane(), own) + delta * delta * pixels * share;
      }
  });
}

Normalize Normalize::Moments::result() const {
  if (pixels == 0) fail("fit", "needs at least one pixel, got none");
  Normalize out;
  out.mean = mean;
  const ag::Tensor deviation = ag::sqrt(squares / pixels);
  out.scale = ag::where(deviation == 0, ag::ones_like(deviation), deviation);
  return out;
}

Normalize Normalize::fit(const ag::Tensor& images) {
  Moments moments;
  moments.add(images);
  return moments.result();
}

// The figures as they broadcast to x.
ag::Tensor Normalize::planes(const char* op, const ag::Tensor& figures, const ag::Tensor& x) const {
  if (!mean.defined()) fail(op, "there must be means of channels, got none; call fit first");
  const std::int64_t channels = mean.size(0);
  if (x.ndim() < 3 || x.ndim() > 4 || x.size(x.ndim() - 3) != channels)
    fail(op, "images must have shape (n, {0}, height, width) or ({0}, height, width), got {1}",
         channels, x.shape());
  return ag::reshape(figures.to(x.dtype()), {channels, 1, 1});
}

ag::Tensor Normalize::transform(const ag::Tensor& x) const {
  const ag::detail::Named as("transform");
  return (x - planes("transform", mean, x)) / planes("transform", scale, x);
}

ag::Tensor Normalize::inverse_transform(const ag::Tensor& x) const {
  const ag::detail::Named as("inverse_transform");
  return x * planes("inverse_transform", scale, x) + planes("inverse_transform", mean, x);
}

std::string Normalize::extra_repr() const {
  if (!mean.defined()) return {};
  return fmt::format("mean=[{:.4g}], scale=[{:.4g}]", fmt::join(mean.to_vector<double>(), ", "),
                     fmt::join(scale.to_vector<double>(), ", "));
}

}  // namespace nn::data
