#include "nn/layers/feature_dropout.hpp"

#include <cmath>
#include <limits>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"

namespace nn {
namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

}  // namespace

detail::DropoutKind::DropoutKind(std::string_view op, double p) : op_(op), p_(p) {
  if (!(p >= 0 && p <= 1)) ag::fail(op, "p must be in [0, 1], got {}", p);
}

void detail::DropoutKind::check(const ag::Tensor& x, std::int64_t least, std::int64_t most,
                                std::string_view axes) const {
  if (!x.defined()) ag::fail(op_, "x must be defined, got an undefined tensor");
  if (!ag::is_floating(x.dtype()))
    ag::fail(op_, "needs float32 or float64, got {}; convert with .to(float32)",
             ag::name(x.dtype()));
  if (x.ndim() < least || x.ndim() > most)
    ag::fail(op_, "x must be {}, got shape {}", axes, x.shape());
}

ag::Tensor detail::DropoutKind::kept_channels(const ag::Tensor& x) const {
  ag::Shape shape = x.shape();
  for (std::size_t d = 2; d < shape.size(); ++d) shape[d] = 1;
  return ag::bernoulli(shape, 1 - p_, x.dtype());
}

ag::Tensor detail::DropoutKind::drop_channels(const ag::Tensor& x) const {
  if (passes()) return x;
  const ag::Tensor kept = kept_channels(x);
  return x * (p_ == 1 ? kept : kept / (1 - p_));
}

ag::Tensor detail::DropoutKind::drop_to_saturation(const ag::Tensor& x,
                                                   const ag::Tensor& kept) const {
  if (p_ == 1) return x * kept;
  constexpr double floor = -1.7580993408473766;  // of SELU: its scale · alpha
  const double scale = 1 / std::sqrt((floor * floor * p_ + 1) * (1 - p_));
  const ag::Tensor shift = (1 - kept) * (floor * scale) - floor * scale * p_;
  return x * (kept * scale) + shift;
}

std::string detail::DropoutKind::extra_repr() const {
  return fmt::format("p={}, inplace=False", repr(p_));
}

ag::Tensor Dropout1d::forward(const ag::Tensor& x) const {
  check(x, 2, 3, "(n, channels, length) or (channels, length)");
  return x.ndim() == 3 ? drop_channels(x) : ag::squeeze(drop_channels(ag::unsqueeze(x, 0)), 0);
}

ag::Tensor Dropout2d::forward(const ag::Tensor& x) const {
  check(x, 3, 4, "(n, channels, height, width) or (n, channels, length)");
  return drop_channels(x);
}

ag::Tensor Dropout3d::forward(const ag::Tensor& x) const {
  check(x, 4, 5, "(n, channels, depth, height, width) or (channels, depth, height, width)");
  return x.ndim() == 5 ? drop_channels(x) : ag::squeeze(drop_channels(ag::unsqueeze(x, 0)), 0);
}

ag::Tensor AlphaDropout::forward(const ag::Tensor& x) const {
  check(x, 0, kAny, "");
  return passes() ? x : drop_to_saturation(x, ag::bernoulli(x.shape(), 1 - p(), x.dtype()));
}

ag::Tensor FeatureAlphaDropout::forward(const ag::Tensor& x) const {
  check(x, 2, kAny, "(n, channels, …)");
  return passes() ? x : drop_to_saturation(x, kept_channels(x));
}

}  // namespace nn
