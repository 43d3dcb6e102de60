#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

// Activations that are made of other operations.
namespace autograd {

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
