#pragma once

#include <string>
#include <string_view>

#include "autograd/ops/neural/convolution.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// What a convolution sees around x; see `ag::PadMode` for the others.
enum class PaddingMode { zeros, reflect, replicate, circular };

/// Options of `Conv1d`, `Conv2d` and `Conv3d`; see `ag::ConvOptions`.
struct ConvOptions {
  ag::Integers stride = 1;
  ag::Padding padding = 0;
  ag::Integers dilation = 1;
  std::int64_t groups = 1;  ///< divides both numbers of channels
  bool bias = true;         ///< false: `bias` is undefined
  PaddingMode padding_mode = PaddingMode::zeros;
};

/// Options of `ConvTranspose1d`, `ConvTranspose2d` and `ConvTranspose3d`; see
/// `ag::ConvTransposeOptions`.
struct ConvTransposeOptions {
  ag::Integers stride = 1;
  ag::Padding padding = 0;
  ag::Integers output_padding = 0;
  std::int64_t groups = 1;  ///< divides both numbers of channels
  bool bias = true;         ///< false: `bias` is undefined
  ag::Integers dilation = 1;
};

namespace detail {
/// What convolutions of any number of axes share. Weight and bias start uniform in ±1/√fan_in, with
/// fan_in the elements of the weight for one entry of its first axis, as in PyTorch.
struct ConvBase : Module {
  /// Draws new initial values.
  void reset_parameters();
  std::int64_t in_channels() const { return in_channels_; }
  std::int64_t out_channels() const { return out_channels_; }

  Parameter weight;
  Parameter bias;  ///< (out)

 protected:
  ConvBase(std::string_view op, int axes, std::int64_t in_channels, std::int64_t out_channels,
           const ag::Integers& kernel_size, std::int64_t groups, bool bias, bool transposed);
  /// The options that both kinds have, as PyTorch prints them.
  std::string repr_of(const ag::Integers& stride, const ag::Padding& padding,
                      const ag::Integers& dilation, const ag::Integers& output_padding,
                      std::int64_t groups) const;
  int axes_;

 private:
  std::int64_t in_channels_, out_channels_;
};

struct Conv : ConvBase {
  ag::Tensor forward(const ag::Tensor& x) const { return forward_with(x, weight, bias); }
  /// The same with these in place of weight and bias; no hooks run.
  ag::Tensor forward_with(const ag::Tensor& x, const ag::Tensor& w, const ag::Tensor& b) const;
  std::string extra_repr() const override;

 protected:
  Conv(int axes, std::int64_t in_channels, std::int64_t out_channels,
       const ag::Integers& kernel_size, const ConvOptions& options);

 private:
  ag::ConvOptions operation_options() const;

  ConvOptions options_;
  ag::Integers around_;  // widths of `pad` where the mode is not zeros
};

struct ConvTranspose : ConvBase {
  ag::Tensor forward(const ag::Tensor& x) const { return forward_with(x, weight, bias); }
  /// With a result of these spatial sizes in place of `output_padding`: less than a stride above the
  /// least ones.
  ag::Tensor forward(const ag::Tensor& x, const ag::Integers& output_size) const;
  /// The same with these in place of weight and bias; no hooks run.
  ag::Tensor forward_with(const ag::Tensor& x, const ag::Tensor& w, const ag::Tensor& b) const;
  std::string extra_repr() const override;

 protected:
  ConvTranspose(int axes, std::int64_t in_channels, std::int64_t out_channels,
                const ag::Integers& kernel_size, const ConvTransposeOptions& options);

 private:
  ag::Tensor run(const ag::Tensor& x, const ag::Tensor& w, const ag::Tensor& b,
                 const ag::Integers& output_padding) const;
  ConvTransposeOptions options_;
};
}  // namespace detail

/// (batch, in, length) → (batch, out, length'), or without a batch; see `ag::conv1d`. `weight` is
/// (out, in / groups, kernel).
class Conv1d : public detail::Conv {
 public:
  Conv1d(std::int64_t in_channels, std::int64_t out_channels, const ag::Integers& kernel_size,
         const ConvOptions& options = {})
      : Conv(1, in_channels, out_channels, kernel_size, options) {}
  NN_MODULE(weight, bias)
};
/// (batch, in, height, width) → (batch, out, height', width'), or without a batch; see
/// `ag::conv2d`. `weight` is (out, in / groups, kernel height, kernel width).
class Conv2d : public detail::Conv {
 public:
  Conv2d(std::int64_t in_channels, std::int64_t out_channels, const ag::Integers& kernel_size,
         const ConvOptions& options = {})
      : Conv(2, in_channels, out_channels, kernel_size, options) {}
  NN_MODULE(weight, bias)
};
/// (batch, in, depth, height, width) → (batch, out, depth', height', width'), or without a batch;
/// see `ag::conv3d`.
class Conv3d : public detail::Conv {
 public:
  Conv3d(std::int64_t in_channels, std::int64_t out_channels, const ag::Integers& kernel_size,
         const ConvOptions& options = {})
      : Conv(3, in_channels, out_channels, kernel_size, options) {}
  NN_MODULE(weight, bias)
};

/// (batch, in, length) → (batch, out, length'), or without a batch; see `ag::conv_transpose1d`.
/// `weight` is (in, out / groups, kernel).
class ConvTranspose1d : public detail::ConvTranspose {
 public:
  ConvTranspose1d(std::int64_t in_channels, std::int64_t out_channels,
                  const ag::Integers& kernel_size, const ConvTransposeOptions& options = {})
      : ConvTranspose(1, in_channels, out_channels, kernel_size, options) {}
  NN_MODULE(weight, bias)
  ag::Tensor operator()(const ag::Tensor& x, const ag::Integers& output_size) const {
    return call_forward(*this, x, output_size);
  }
};
/// (batch, in, height, width) → (batch, out, height', width'), or without a batch; see
/// `ag::conv_transpose2d`.
class ConvTranspose2d : public detail::ConvTranspose {
 public:
  ConvTranspose2d(std::int64_t in_channels, std::int64_t out_channels,
                  const ag::Integers& kernel_size, const ConvTransposeOptions& options = {})
      : ConvTranspose(2, in_channels, out_channels, kernel_size, options) {}
  NN_MODULE(weight, bias)
  ag::Tensor operator()(const ag::Tensor& x, const ag::Integers& output_size) const {
    return call_forward(*this, x, output_size);
  }
};
/// (batch, in, depth, height, width) → (batch, out, depth', height', width'), or without a batch;
/// see `ag::conv_transpose3d`.
class ConvTranspose3d : public detail::ConvTranspose {
 public:
  ConvTranspose3d(std::int64_t in_channels, std::int64_t out_channels,
                  const ag::Integers& kernel_size, const ConvTransposeOptions& options = {})
      : ConvTranspose(3, in_channels, out_channels, kernel_size, options) {}
  NN_MODULE(weight, bias)
  ag::Tensor operator()(const ag::Tensor& x, const ag::Integers& output_size) const {
    return call_forward(*this, x, output_size);
  }
};

}  // namespace nn

#pragma GCC visibility pop
