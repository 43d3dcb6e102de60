#pragma once

#include "nn/module/options.hpp"

#pragma GCC visibility push(default)

namespace nn {

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
