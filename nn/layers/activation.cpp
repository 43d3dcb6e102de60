#include "nn/layers/activation.hpp"

#include "autograd/ops/ops.hpp"

namespace nn {

using ag::Tensor;

Tensor ReLU::forward(const Tensor& x) const { return ag::relu(x); }
Tensor Tanh::forward(const Tensor& x) const { return ag::tanh(x); }
Tensor Sigmoid::forward(const Tensor& x) const { return ag::sigmoid(x); }
Tensor SiLU::forward(const Tensor& x) const { return ag::silu(x); }

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
std::string Softplus::extra_repr() const {
  return fmt::format("beta={}, threshold={}", repr(beta_), repr(threshold_));
}

Tensor LeakyReLU::forward(const Tensor& x) const { return ag::leaky_relu(x, negative_slope_); }
std::string LeakyReLU::extra_repr() const { return "negative_slope=" + repr(negative_slope_); }

PReLU::PReLU(std::int64_t num_parameters, double init) {
  if (num_parameters < 1)
    ag::fail("prelu", "num_parameters must be at least 1, got {}", num_parameters);
  weight = Parameter(ag::full({num_parameters}, init));
}
Tensor PReLU::forward(const Tensor& x) const { return ag::prelu(x, weight); }
std::string PReLU::extra_repr() const { return fmt::format("num_parameters={}", weight.numel()); }

Tensor ELU::forward(const Tensor& x) const { return ag::elu(x, alpha_); }
std::string ELU::extra_repr() const { return "alpha=" + repr(alpha_); }

CELU::CELU(double alpha) : alpha_(alpha) {
  if (alpha == 0) ag::fail("celu", "alpha must not be 0, got 0");
}
Tensor CELU::forward(const Tensor& x) const { return ag::celu(x, alpha_); }
std::string CELU::extra_repr() const { return "alpha=" + repr(alpha_); }

Tensor ReLU6::forward(const Tensor& x) const { return ag::relu6(x); }
Tensor SELU::forward(const Tensor& x) const { return ag::selu(x); }
Tensor Mish::forward(const Tensor& x) const { return ag::mish(x); }
Tensor Hardsigmoid::forward(const Tensor& x) const { return ag::hardsigmoid(x); }
Tensor Hardswish::forward(const Tensor& x) const { return ag::hardswish(x); }
Tensor Softsign::forward(const Tensor& x) const { return ag::softsign(x); }
Tensor Tanhshrink::forward(const Tensor& x) const { return ag::tanhshrink(x); }
Tensor LogSigmoid::forward(const Tensor& x) const { return ag::logsigmoid(x); }

Hardtanh::Hardtanh(double min_val, double max_val) : min_val_(min_val), max_val_(max_val) {
  if (!(min_val < max_val))
    ag::fail("hardtanh", "min_val must be less than max_val, got {} and {}", min_val, max_val);
}
Tensor Hardtanh::forward(const Tensor& x) const { return ag::hardtanh(x, min_val_, max_val_); }
std::string Hardtanh::extra_repr() const {
  return fmt::format("min_val={}, max_val={}", repr(min_val_), repr(max_val_));
}

Softshrink::Softshrink(double lambda) : lambda_(lambda) {
  if (!(lambda >= 0)) ag::fail("softshrink", "lambda must be at least 0, got {}", lambda);
}
Tensor Softshrink::forward(const Tensor& x) const { return ag::softshrink(x, lambda_); }
std::string Softshrink::extra_repr() const { return repr(lambda_); }
Tensor Hardshrink::forward(const Tensor& x) const { return ag::hardshrink(x, lambda_); }
std::string Hardshrink::extra_repr() const { return repr(lambda_); }

Tensor Threshold::forward(const Tensor& x) const { return ag::threshold(x, threshold_, value_); }
std::string Threshold::extra_repr() const {
  return fmt::format("threshold={}, value={}", repr(threshold_), repr(value_));
}

Tensor GLU::forward(const Tensor& x) const { return ag::glu(x, axis_); }
std::string GLU::extra_repr() const { return fmt::format("dim={}", axis_); }

Tensor Softmax::forward(const Tensor& x) const { return ag::softmax(x, axis_); }
std::string Softmax::extra_repr() const { return fmt::format("dim={}", axis_); }

Tensor LogSoftmax::forward(const Tensor& x) const { return ag::log_softmax(x, axis_); }
std::string LogSoftmax::extra_repr() const { return fmt::format("dim={}", axis_); }

}  // namespace nn
