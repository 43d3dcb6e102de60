#pragma once

#include "autograd/elementwise/builtins.hpp"
#include "nn/module/options.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
/// A layer without options that applies one function to each element.
template <ag::Tensor (*f)(const ag::Tensor&)>
struct Activation : Module {
  ag::Tensor forward(const ag::Tensor& x) const { return f(x); }
};
}  // namespace detail

/// max(x, 0).
class ReLU : public detail::Activation<ag::relu> {
  NN_MODULE()
};

class Tanh : public detail::Activation<ag::tanh> {
  NN_MODULE()
};

/// 1 / (1 + exp(-x)).
class Sigmoid : public detail::Activation<ag::sigmoid> {
  NN_MODULE()
};

/// x sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2018).
class SiLU : public detail::Activation<ag::silu> {
  NN_MODULE()
};

/// x Φ(x), or its approximation by tanh (Hendrycks and Gimpel 2016).
class GELU : public Module {
 public:
  enum class Approximate { none, tanh };
  explicit GELU(Approximate approximate = Approximate::none) : approximate_(approximate) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  Approximate approximate_;
};

/// log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.
class Softplus : public Module {
 public:
  /// beta must not be 0.
  explicit Softplus(double beta = 1, double threshold = 20);
  NN_MODULE()
  NN_OPTIONS(beta_, threshold_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  double beta_, threshold_;
};

/// min(max(x, 0), 6).
class ReLU6 : public detail::Activation<ag::relu6> {
  NN_MODULE()
};

/// x where positive, else negative_slope x; at 0 the gradient is negative_slope.
class LeakyReLU : public Module {
 public:
  explicit LeakyReLU(double negative_slope = 0.01) : negative_slope_(negative_slope) {}
  NN_MODULE()
  NN_OPTIONS(negative_slope_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  double negative_slope_;
};

/// x where positive, else weight x, with a learned weight for all elements or for each channel
/// (axis 1 of x) (He 2015).
class PReLU : public Module {
 public:
  /// num_parameters is 1 or the number of channels; each weight starts at `init`.
  explicit PReLU(std::int64_t num_parameters = 1, double init = 0.25);
  NN_MODULE(weight)
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

  Parameter weight;  ///< (num_parameters)
};

/// x where positive, else alpha (exp(x) - 1); at 0 the gradient is alpha (Clevert 2016).
class ELU : public Module {
 public:
  explicit ELU(double alpha = 1) : alpha_(alpha) {}
  NN_MODULE()
  NN_OPTIONS(alpha_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  double alpha_;
};

/// ELU with the constants that keep mean 0 and variance 1 (Klambauer 2017).
class SELU : public detail::Activation<ag::selu> {
  NN_MODULE()
};

/// x where positive, else alpha (exp(x / alpha) - 1) (Barron 2017).
class CELU : public Module {
 public:
  /// alpha must not be 0.
  explicit CELU(double alpha = 1);
  NN_MODULE()
  NN_OPTIONS(alpha_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  double alpha_;
};

/// x tanh(softplus(x)) (Misra 2019).
class Mish : public detail::Activation<ag::mish> {
  NN_MODULE()
};

/// min(max(x + 3, 0), 6) / 6.
class Hardsigmoid : public detail::Activation<ag::hardsigmoid> {
  NN_MODULE()
};

/// x min(max(x + 3, 0), 6) / 6 (Howard 2019).
class Hardswish : public detail::Activation<ag::hardswish> {
  NN_MODULE()
};

/// x limited to [min_val, max_val]; gradient 0 at the bounds.
class Hardtanh : public Module {
 public:
  /// min_val must be less than max_val.
  explicit Hardtanh(double min_val = -1, double max_val = 1);
  NN_MODULE()
  NN_OPTIONS(min_val_, max_val_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  double min_val_, max_val_;
};

/// x / (1 + |x|).
class Softsign : public detail::Activation<ag::softsign> {
  NN_MODULE()
};

/// x moved towards 0 by lambda, and 0 in [-lambda, lambda].
class Softshrink : public Module {
 public:
  /// lambda must be at least 0.
  explicit Softshrink(double lambda = 0.5);
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  double lambda_;
};

/// x, and 0 in [-lambda, lambda].
class Hardshrink : public Module {
 public:
  explicit Hardshrink(double lambda = 0.5) : lambda_(lambda) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  double lambda_;
};

/// x - tanh(x).
class Tanhshrink : public detail::Activation<ag::tanhshrink> {
  NN_MODULE()
};

/// log(1 / (1 + exp(-x))).
class LogSigmoid : public detail::Activation<ag::logsigmoid> {
  NN_MODULE()
};

/// x where greater than `threshold`, else `value`.
class Threshold : public Module {
 public:
  Threshold(double threshold, double value) : threshold_(threshold), value_(value) {}
  NN_MODULE()
  NN_OPTIONS(threshold_, value_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  double threshold_, value_;
};

/// a sigmoid(b) with the halves a and b of x along one axis, of even size (Dauphin 2017).
class GLU : public Module {
 public:
  explicit GLU(std::int64_t axis = -1) : dim_(axis) {}
  NN_MODULE()
  NN_OPTIONS(dim_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  std::int64_t dim_;
};

/// exp(x) / sum(exp(x)) along one axis.
class Softmax : public Module {
 public:
  explicit Softmax(std::int64_t axis = -1) : dim_(axis) {}
  NN_MODULE()
  NN_OPTIONS(dim_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  std::int64_t dim_;
};

/// log(softmax(x)) along one axis.
class LogSoftmax : public Module {
 public:
  explicit LogSoftmax(std::int64_t axis = -1) : dim_(axis) {}
  NN_MODULE()
  NN_OPTIONS(dim_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  std::int64_t dim_;
};

/// exp(-x) / sum(exp(-x)) along one axis.
class Softmin : public Module {
 public:
  explicit Softmin(std::int64_t axis = -1) : dim_(axis) {}
  NN_MODULE()
  NN_OPTIONS(dim_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  std::int64_t dim_;
};

/// Softmax over the channels of each place of an image (n, c, h, w) or (c, h, w).
class Softmax2d : public Module {
 public:
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};

/// x where at least 0, else a x: in training with a uniform in [lower, upper) for each element, of
/// this thread's default generator, in evaluation with its mean (Xu 2015).
class RReLU : public Module {
 public:
  /// 0 ≤ lower ≤ upper ≤ 1.
  explicit RReLU(double lower = 1.0 / 8, double upper = 1.0 / 3);
  NN_MODULE()
  NN_OPTIONS(lower_, upper_)
  ag::Tensor forward(const ag::Tensor& x) const;

 private:
  double lower_, upper_;
};

}  // namespace nn

#pragma GCC visibility pop
