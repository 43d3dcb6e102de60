#include "autograd/ops.hpp"
#include "autograd/ops/internal.hpp"

// Activations whose parameters are numbers, or that are made of other operations. The formulas are
// in elementwise.def.
namespace autograd {

Tensor leaky_relu(const Tensor& x, double slope) {
  return leaky_relu(x, internal::number_for("leaky_relu", slope, x));
}
Tensor elu(const Tensor& x, double alpha) { return elu(x, internal::number_for("elu", alpha, x)); }
Tensor hardshrink(const Tensor& x, double lambda) {
  return hardshrink(x, internal::number_for("hardshrink", lambda, x));
}
Tensor celu(const Tensor& x, double alpha) {
  if (alpha == 0) fail("celu", "alpha must not be 0, got 0");
  return celu(x, internal::number_for("celu", alpha, x));
}
Tensor softshrink(const Tensor& x, double lambda) {
  if (!(lambda >= 0)) fail("softshrink", "lambda must be at least 0, got {}", lambda);
  return softshrink(x, internal::number_for("softshrink", lambda, x));
}
Tensor threshold(const Tensor& x, double threshold, double value) {
  return autograd::threshold(x, internal::number_for("threshold", threshold, x),
                             internal::number_for("threshold", value, x));
}
Tensor hardtanh(const Tensor& x, double low, double high) {
  if (!(low <= high)) fail("hardtanh", "low must be at most high, got {} and {}", low, high);
  return hardtanh(x, internal::number_for("hardtanh", low, x),
                  internal::number_for("hardtanh", high, x));
}
Tensor relu6(const Tensor& x) {
  const detail::Named as("relu6");
  return hardtanh(x, 0, 6);
}

Tensor prelu(const Tensor& x, const Tensor& weight) {
  const detail::Named as("prelu");
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
  const detail::Named as("glu");
  axis = shapes::axis("glu", axis, x.shape());
  const std::int64_t size = x.ndim() ? x.shape()[static_cast<std::size_t>(axis)] : 1;
  if (size % 2) fail("glu", "the size of axis {} must be even, got {}", axis, x.shape().str());
  return narrow(x, axis, 0, size / 2) * sigmoid(narrow(x, axis, size / 2, size / 2));
}

}  // namespace autograd
