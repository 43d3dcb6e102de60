#pragma once

#include "autograd/core/shape.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// One axis as several: `Unflatten(1, {2, 5})` makes (n, 10) into (n, 2, 5); one size may be -1.
class Unflatten : public Module {
 public:
  Unflatten(std::int64_t axis, const ag::Shape& unflattened_size)
      : dim_(axis), unflattened_size_(unflattened_size) {}
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t dim_;
  ag::Shape unflattened_size_;
};

/// (…, c · r², h, w) → (…, c, h · r, w · r), for sub-pixel convolution (Shi 2016).
class PixelShuffle : public Module {
 public:
  /// upscale_factor is at least 1.
  explicit PixelShuffle(std::int64_t upscale_factor);
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t upscale_factor_;
};

/// (…, c, h · r, w · r) → (…, c · r², h, w), what PixelShuffle undoes.
class PixelUnshuffle : public Module {
 public:
  /// downscale_factor is at least 1.
  explicit PixelUnshuffle(std::int64_t downscale_factor);
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t downscale_factor_;
};

/// The channels (axis 1) of equal groups in turn: of (n, c, …) channel i of group g goes to place
/// i · groups + g (Zhang 2018).
class ChannelShuffle : public Module {
 public:
  /// groups is at least 1.
  explicit ChannelShuffle(std::int64_t groups);
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor& x) const;
  std::string extra_repr() const override;

 private:
  std::int64_t groups_;
};

}  // namespace nn

#pragma GCC visibility pop
