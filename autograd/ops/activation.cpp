#include "autograd/ops.hpp"

// Activations whose parameters are numbers, or that are made of other operations. The formulas are
// in elementwise.def.
namespace autograd {

Tensor leaky_relu(const Tensor& x, double slope) { return leaky_relu(x, scalar_like(slope, x)); }
Tensor elu(const Tensor& x, double alpha) { return elu(x, scalar_like(alpha, x)); }
Tensor hardshrink(const Tensor& x, double lambda) { return hardshrink(x, scalar_like(lambda, x)); }
Tensor celu(const Tensor& x, double alpha) {
  if (alpha == 0) fail("celu", "alpha must not be 0, got 0");
  return celu(x, scalar_like(alpha, x));
}
Tensor softshrink(const Tensor& x, double lambda) {
  if (!(lambda >= 0)) fail("softshrink", "lambda must be at least 0, got {}", lambda);
  return softshrink(x, scalar_like(lambda, x));
}
Tensor threshold(const Tensor& x, double threshold, double value) {
  return autograd::threshold(x, scalar_like(threshold, x), scalar_like(value, x));
}
Tensor hardtanh(const Tensor& x, double low, double high) {
  if (!(low <= high)) fail("hardtanh", "low must be at most high, got {} and {}", low, high);
  return hardtanh(x, scalar_like(low, x), scalar_like(high, x));
}
Tensor relu6(const Tensor& x) { return hardtanh(x, 0, 6); }

Tensor prelu(const Tensor& x, const Tensor& weight) {
  const std::int64_t channels = x.ndim() > 1 ? x.shape()[1] : 1;
  if (weight.ndim() > 1 || (weight.numel() != 1 && weight.numel() != channels))
    fail("prelu",
         "the weight must be of shape () or (1,) or ({},), one per channel of x {}, got {}",
         channels, x.shape().str(), weight.shape().str());
  if (weight.numel() == 1) return leaky_relu(x, reshape(weight, Shape()));
  Shape aligned(channels);
  for (std::int64_t axis = 2; axis < x.ndim(); ++axis) aligned.push_back(1);
  return leaky_relu(x, reshape(weight, aligned));
}
Tensor glu(const Tensor& x, std::int64_t axis) {
  axis = shapes::axis("glu", axis, x.shape());
  const std::int64_t size = x.ndim() ? x.shape()[static_cast<std::size_t>(axis)] : 1;
  if (size % 2) fail("glu", "the size of axis {} must be even, got {}", axis, x.shape().str());
  return narrow(x, axis, 0, size / 2) * sigmoid(narrow(x, axis, size / 2, size / 2));
}

}  // namespace autograd
