#include "nn/layers/activation.hpp"

#include "autograd/ops.hpp"

namespace nn {

using ag::Tensor;

Tensor ReLU::forward(const Tensor& x) const { return ag::relu(x); }
Tensor Tanh::forward(const Tensor& x) const { return ag::tanh(x); }
Tensor Sigmoid::forward(const Tensor& x) const { return ag::sigmoid(x); }
Tensor SiLU::forward(const Tensor& x) const { return x * ag::sigmoid(x); }

Tensor GELU::forward(const Tensor& x) const {
  if (approximate_ == Approximate::none) return ag::gelu(x);
  const double root_two_over_pi = 0.7978845608028654;
  return 0.5 * x * (1 + ag::tanh(root_two_over_pi * (x + 0.044715 * x * ag::square(x))));
}
std::string GELU::extra_repr() const {
  return approximate_ == Approximate::none ? "approximate='none'" : "approximate='tanh'";
}

Softplus::Softplus(double beta, double threshold) : beta_(beta), threshold_(threshold) {
  if (beta == 0) ag::fail("softplus", "beta must not be 0, got 0");
}
Tensor Softplus::forward(const Tensor& x) const {
  const Tensor scaled = beta_ == 1 ? x : x * beta_;
  const Tensor y = ag::softplus(scaled);
  return ag::where(scaled > threshold_, x, beta_ == 1 ? y : y / beta_);
}
std::string Softplus::extra_repr() const {
  return fmt::format("beta={}, threshold={}", repr(beta_), repr(threshold_));
}

Tensor LeakyReLU::forward(const Tensor& x) const {
  return ag::where(x > 0, x, x * negative_slope_);
}
std::string LeakyReLU::extra_repr() const { return "negative_slope=" + repr(negative_slope_); }

Tensor ELU::forward(const Tensor& x) const {
  const Tensor positive = x > 0;
  // Without the inner choice exp would overflow for large x and its gradient be 0 · inf.
  return ag::where(positive, x, alpha_ * ag::expm1(ag::where(positive, 0, x)));
}
std::string ELU::extra_repr() const { return "alpha=" + repr(alpha_); }

Tensor Softmax::forward(const Tensor& x) const { return ag::softmax(x, axis_); }
std::string Softmax::extra_repr() const { return fmt::format("dim={}", axis_); }

Tensor LogSoftmax::forward(const Tensor& x) const { return ag::log_softmax(x, axis_); }
std::string LogSoftmax::extra_repr() const { return fmt::format("dim={}", axis_); }

}  // namespace nn
