#include "nn/layers/activation.hpp"

#include "autograd/core/random.hpp"
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

ag::Tensor Softmin::forward(const ag::Tensor& x) const { return ag::softmax(-x, dim_); }

ag::Tensor Softmax2d::forward(const ag::Tensor& x) const {
  if (x.ndim() != 3 && x.ndim() != 4)
    ag::fail("Softmax2d", "needs inputs (n, c, h, w) or (c, h, w), got shape {}", x.shape());
  return ag::softmax(x, -3);
}

RReLU::RReLU(double lower, double upper) : lower_(lower), upper_(upper) {
  if (!(lower >= 0 && lower <= upper && upper <= 1))
    ag::fail("RReLU", "needs 0 ≤ lower ≤ upper ≤ 1, got {} and {}", lower, upper);
}

ag::Tensor RReLU::forward(const ag::Tensor& x) const {
  if (!is_training()) return ag::leaky_relu(x, (lower_ + upper_) / 2);
  const ag::Tensor slope = ag::rand(x.shape(), x.dtype()) * (upper_ - lower_) + lower_;
  return ag::where(x >= 0, x, slope * x);
}

}  // namespace nn
