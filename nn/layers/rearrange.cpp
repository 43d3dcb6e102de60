#include "nn/layers/rearrange.hpp"

#include "autograd/ops/ops.hpp"

namespace nn {
namespace {

void check_factor(const char* layer, const char* option, std::int64_t value) {
  constexpr std::int64_t kLargest = 65536;  // its square times a size fits in 63 bits
  if (value < 1 || value > kLargest)
    ag::fail(layer, "{} must be in [1, {}], got {}", option, kLargest, value);
}

void check_image(const char* layer, const ag::Tensor& x) {
  if (x.ndim() < 3) ag::fail(layer, "needs inputs (…, c, h, w), got shape {}", x.shape());
}

// The axes in front, then these.
ag::Shape with(const ag::Tensor& x, std::int64_t front, std::initializer_list<std::int64_t> rest) {
  ag::Shape shape(x.shape().begin(), x.shape().begin() + front);
  for (const std::int64_t size : rest) shape.push_back(size);
  return shape;
}

// The axes in front as they are, those from there on in this order.
ag::Tensor permuted(const ag::Tensor& x, std::int64_t front,
                    std::initializer_list<std::int64_t> order) {
  ag::Axes axes;
  for (std::int64_t i = 0; i < front; ++i) axes.push_back(i);
  for (const std::int64_t i : order) axes.push_back(front + i);
  return ag::permute(x, axes);
}

}  // namespace

ag::Tensor Unflatten::forward(const ag::Tensor& x) const {
  return ag::unflatten(x, dim_, unflattened_size_);
}
std::string Unflatten::extra_repr() const {
  return fmt::format("dim={}, unflattened_size={}", dim_, unflattened_size_);
}

PixelShuffle::PixelShuffle(std::int64_t upscale_factor) : upscale_factor_(upscale_factor) {
  check_factor("PixelShuffle", "upscale_factor", upscale_factor);
}
ag::Tensor PixelShuffle::forward(const ag::Tensor& x) const {
  check_image("PixelShuffle", x);
  const std::int64_t r = upscale_factor_, front = x.ndim() - 3;
  const std::int64_t c = x.size(-3) / r / r, h = x.size(-2), w = x.size(-1);
  if (c * r * r != x.size(-3))
    ag::fail("PixelShuffle", "channels must be a multiple of the square of {}, got {}", r,
             x.size(-3));
  const ag::Tensor parts = ag::reshape(x, with(x, front, {c, r, r, h, w}));
  return ag::reshape(permuted(parts, front, {0, 3, 1, 4, 2}), with(x, front, {c, h * r, w * r}));
}
std::string PixelShuffle::extra_repr() const {
  return fmt::format("upscale_factor={}", upscale_factor_);
}

PixelUnshuffle::PixelUnshuffle(std::int64_t downscale_factor)
    : downscale_factor_(downscale_factor) {
  check_factor("PixelUnshuffle", "downscale_factor", downscale_factor);
}
ag::Tensor PixelUnshuffle::forward(const ag::Tensor& x) const {
  check_image("PixelUnshuffle", x);
  const std::int64_t r = downscale_factor_, front = x.ndim() - 3;
  const std::int64_t c = x.size(-3), h = x.size(-2) / r, w = x.size(-1) / r;
  if (h * r != x.size(-2) || w * r != x.size(-1))
    ag::fail("PixelUnshuffle", "height and width must be multiples of {}, got {} and {}", r,
             x.size(-2), x.size(-1));
  const ag::Tensor parts = ag::reshape(x, with(x, front, {c, h, r, w, r}));
  return ag::reshape(permuted(parts, front, {0, 2, 4, 1, 3}), with(x, front, {c * r * r, h, w}));
}
std::string PixelUnshuffle::extra_repr() const {
  return fmt::format("downscale_factor={}", downscale_factor_);
}

ChannelShuffle::ChannelShuffle(std::int64_t groups) : groups_(groups) {
  if (groups < 1) ag::fail("ChannelShuffle", "groups must be at least 1, got {}", groups);
}
ag::Tensor ChannelShuffle::forward(const ag::Tensor& x) const {
  if (x.ndim() < 3)
    ag::fail("ChannelShuffle", "needs inputs (n, c, …) of at least 3 axes, got shape {}",
             x.shape());
  if (x.size(1) % groups_ != 0)
    ag::fail("ChannelShuffle", "groups must divide the {} channels, got {}", x.size(1), groups_);
  const ag::Tensor parts = ag::unflatten(x, 1, {groups_, x.size(1) / groups_});
  return ag::reshape(ag::transpose(parts, 1, 2), x.shape());
}
std::string ChannelShuffle::extra_repr() const { return fmt::format("groups={}", groups_); }

}  // namespace nn
