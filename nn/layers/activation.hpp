#pragma once

#include "nn/module.hpp"

namespace nn {

/// max(x, 0).
class ReLU : public Module {
 public:
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};

class Tanh : public Module {
 public:
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};

/// 1 / (1 + exp(-x)).
class Sigmoid : public Module {
 public:
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};

/// x sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2018).
class SiLU : public Module {
 public:
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
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
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  double beta_, threshold_;
};

/// x where positive, else negative_slope x; at 0 the gradient is negative_slope.
class LeakyReLU : public Module {
 public:
  explicit LeakyReLU(double negative_slope = 0.01) : negative_slope_(negative_slope) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  double negative_slope_;
};

/// x where positive, else alpha (exp(x) - 1); at 0 the gradient is alpha (Clevert 2016).
class ELU : public Module {
 public:
  explicit ELU(double alpha = 1) : alpha_(alpha) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  double alpha_;
};

/// exp(x) / sum(exp(x)) along one axis.
class Softmax : public Module {
 public:
  explicit Softmax(std::int64_t axis = -1) : axis_(axis) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t axis_;
};

/// log(softmax(x)) along one axis.
class LogSoftmax : public Module {
 public:
  explicit LogSoftmax(std::int64_t axis = -1) : axis_(axis) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t axis_;
};

}  // namespace nn
