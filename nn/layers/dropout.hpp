#pragma once

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
/// Zeroes each element with probability p and scales the others by 1 / (1 - p).
ag::Tensor drop_elements(const ag::Tensor& x, double p);
}  // namespace detail

/// In training, zeroes each element with probability p and scales the others by 1 / (1 - p), with
/// numbers from this thread's default generator; in evaluation x itself (Srivastava 2014).
class Dropout : public Module {
 public:
  /// p in [0, 1]; 1 gives zeros.
  explicit Dropout(double p = 0.5);
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  double p() const noexcept { return p_; }
  std::string extra_repr() const override;

 private:
  double p_;
};

}  // namespace nn

#pragma GCC visibility pop
