#include "nn/layers/activation.hpp"

#include "autograd/ops/ops.hpp"

namespace nn {

using ag::Tensor;

Tensor GELU::forward(const Tensor& x) const {
  return approximate_ == Approximate::none ? ag::gelu(x) : ag::gelu_tanh(x);
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

Tensor LeakyReLU::forward(const Tensor& x) const { return ag::leaky_relu(x, negative_slope_); }

PReLU::PReLU(std::int64_t num_parameters, double init) {
  if (num_parameters < 1)
    ag::fail("prelu", "num_parameters must be at least 1, got {}", num_parameters);
  weight = Parameter(ag::full({num_parameters}, init));
}
Tensor PReLU::forward(const Tensor& x) const { return ag::prelu(x, weight); }
std::string PReLU::extra_repr() const { return fmt::format("num_parameters={}", weight.numel()); }

Tensor ELU::forward(const Tensor& x) const { return ag::elu(x, alpha_); }

CELU::CELU(double alpha) : alpha_(alpha) {
  if (alpha == 0) ag::fail("celu", "alpha must not be 0, got 0");
}
Tensor CELU::forward(const Tensor& x) const { return ag::celu(x, alpha_); }

Hardtanh::Hardtanh(double min_val, double max_val) : min_val_(min_val), max_val_(max_val) {
  if (!(min_val < max_val))
    ag::fail("hardtanh", "min_val must be less than max_val, got {} and {}", min_val, max_val);
}
Tensor Hardtanh::forward(const Tensor& x) const { return ag::hardtanh(x, min_val_, max_val_); }

Softshrink::Softshrink(double lambda) : lambda_(lambda) {
  if (!(lambda >= 0)) ag::fail("softshrink", "lambda must be at least 0, got {}", lambda);
}
Tensor Softshrink::forward(const Tensor& x) const { return ag::softshrink(x, lambda_); }
std::string Softshrink::extra_repr() const { return repr(lambda_); }
Tensor Hardshrink::forward(const Tensor& x) const { return ag::hardshrink(x, lambda_); }
std::string Hardshrink::extra_repr() const { return repr(lambda_); }

Tensor Threshold::forward(const Tensor& x) const { return ag::threshold(x, threshold_, value_); }

Tensor GLU::forward(const Tensor& x) const { return ag::glu(x, dim_); }

Tensor Softmax::forward(const Tensor& x) const { return ag::softmax(x, dim_); }

Tensor LogSoftmax::forward(const Tensor& x) const { return ag::log_softmax(x, dim_); }

}  // namespace nn
