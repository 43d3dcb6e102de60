#pragma once

#include <string_view>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
/// What kinds of dropout share: p, and what they take. Random numbers are from this thread's default
/// generator.
struct DropoutKind : Module {
  double p() const noexcept { return p_; }
  std::string extra_repr() const override;

 protected:
  DropoutKind(std::string_view op, double p);
  // Throws unless x is floating and has at least `least` axes, at most `most`.
  void check(const ag::Tensor& x, std::int64_t least, std::int64_t most,
             std::string_view axes) const;
  // There is nothing to draw.
  bool passes() const { return !is_training() || p_ == 0; }
  // One number for each channel of x (n, channels, …): 1 to keep it, which has probability 1 - p.
  ag::Tensor kept_channels(const ag::Tensor& x) const;
  ag::Tensor drop_channels(const ag::Tensor& x) const;
  ag::Tensor drop_to_saturation(const ag::Tensor& x, const ag::Tensor& kept) const;

 private:
  std::string_view op_;
  double p_;
};
}  // namespace detail

/// In training, zeroes each channel of x (n, channels, length), or without n, with probability p and
/// scales the others by 1 / (1 - p); in evaluation x itself (Tompson 2015).
class Dropout1d : public detail::DropoutKind {
 public:
  /// p in [0, 1]; 1 gives zeros.
  explicit Dropout1d(double p = 0.5) : DropoutKind("dropout1d", p) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};
/// The same for x (n, channels, height, width). Three axes are (n, channels, length), as in PyTorch.
class Dropout2d : public detail::DropoutKind {
 public:
  /// p in [0, 1]; 1 gives zeros.
  explicit Dropout2d(double p = 0.5) : DropoutKind("dropout2d", p) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};
/// The same for x (n, channels, depth, height, width), or without n.
class Dropout3d : public detail::DropoutKind {
 public:
  /// p in [0, 1]; 1 gives zeros.
  explicit Dropout3d(double p = 0.5) : DropoutKind("dropout3d", p) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};

/// In training, sets each element with probability p to what SELU gives far below 0, then scales and
/// shifts all, so that mean 0 and variance 1 stay what they are; in evaluation x itself (Klambauer
/// 2017).
class AlphaDropout : public detail::DropoutKind {
 public:
  /// p in [0, 1]; 1 gives zeros.
  explicit AlphaDropout(double p = 0.5) : DropoutKind("alpha_dropout", p) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};
/// The same for whole channels of x (n, channels, …).
class FeatureAlphaDropout : public detail::DropoutKind {
 public:
  /// p in [0, 1]; 1 gives zeros.
  explicit FeatureAlphaDropout(double p = 0.5) : DropoutKind("feature_alpha_dropout", p) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
};

}  // namespace nn

#pragma GCC visibility pop
