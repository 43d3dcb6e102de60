#include "autograd/elementwise/builtins.hpp"
#include "autograd/tape/internal/tape.hpp"

// Activations whose parameters are numbers. The formulas are in elementwise.def.
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

}  // namespace autograd
