#include "autograd/ops/neural/positions.hpp"

#include <cmath>

#include "autograd/core/internal/helpers.hpp"
#include "autograd/ops/ops.hpp"

namespace autograd {
namespace {

// p · base^(-2 i / features) in float64, in which also far positions keep their digits: (length,
// ⌈features / 2⌉).
Tensor angles(std::int64_t from, std::int64_t length, std::int64_t features, double base) {
  const Tensor position = arange(from, from + length).to(float64);
  const Tensor pair = arange(features / 2 + features % 2).to(float64);
  return unsqueeze(position, 1) * exp(pair * (-2 * std::log(base) / static_cast<double>(features)));
}

}  // namespace

Tensor rotary_embedding(const Tensor& x, const RotaryOptions& options) {
  const char* op = "rotary_embedding";
  const detail::Named as(op);
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  if (x.ndim() < 2) fail(op, "x must be (…, length, e), got shape {}", x.shape());
  const std::int64_t all = x.size(-1), e = options.features == 0 ? all : options.features;
  if (e < 2 || e % 2 != 0 || e > all)
    fail(op, "features must be even and at most the last size, got {} of shape {}", e, x.shape());
  if (!(options.base > 0 && std::isfinite(options.base)))
    fail(op, "base must be positive, got {}", options.base);
  constexpr std::int64_t far = std::int64_t{1} << 40;
  if (options.offset < -far || options.offset > far)
    fail(op, "offset must be within 2^40 of 0, got {}", options.offset);
  if (e < all)
    return concat({rotary_embedding(narrow(x, -1, 0, e), options), narrow(x, -1, e, all - e)}, -1);
  const std::int64_t length = x.size(-2);
  const Tensor angle = angles(options.offset, length, e, options.base);
  const Tensor c = cos(angle).to(x.dtype()), s = sin(angle).to(x.dtype());
  if (options.pairs == RotaryPairs::halves) {
    const Tensor a = narrow(x, -1, 0, e / 2), b = narrow(x, -1, e / 2, e / 2);
    return concat({a * c - b * s, b * c + a * s}, -1);
  }
  Shape pairs = x.shape();
  pairs.back() = e / 2;
  pairs.push_back(2);
  const Tensor both = reshape(x, pairs), a = select(both, -1, 0), b = select(both, -1, 1);
  return reshape(stack({a * c - b * s, b * c + a * s}, -1), x.shape());
}

Tensor sinusoidal_positions(std::int64_t length, std::int64_t features, DType dtype) {
  const char* op = "sinusoidal_positions";
  const detail::Named as(op);
  if (length < 0 || features < 1)
    fail(op, "length must be at least 0 and features at least 1, got {} and {}", length, features);
  if (!is_floating(dtype)) fail(op, "needs float32 or float64, got {}", name(dtype));
  const Tensor angle = angles(0, length, features, 10000);
  const Tensor pairs =
      reshape(stack({sin(angle), cos(angle)}, -1), {length, features + features % 2});
  return narrow(pairs, 1, 0, features).to(dtype);
}

}  // namespace autograd
