#pragma once

#include "autograd/ops/neural/fold.hpp"
#include "nn/module/options.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// The windows of images as columns; see `ag::im2col`.
class Unfold : public Module {
 public:
  explicit Unfold(const ag::Integers& kernel_size, const ag::FoldOptions& options = {})
      : kernel_size_(kernel_size),
        dilation_(options.dilation),
        padding_(options.padding),
        stride_(options.stride) {}
  NN_MODULE()
  NN_OPTIONS(kernel_size_, dilation_, padding_, stride_)
  ag::Tensor forward(const ag::Tensor& x) const {
    return ag::im2col(x, kernel_size_, {dilation_, padding_, stride_});
  }

 private:
  ag::Integers kernel_size_, dilation_, padding_, stride_;
};

/// Images of columns, added where windows overlap; see `ag::fold`.
class Fold : public Module {
 public:
  Fold(const ag::Integers& output_size, const ag::Integers& kernel_size,
       const ag::FoldOptions& options = {})
      : output_size_(output_size),
        kernel_size_(kernel_size),
        dilation_(options.dilation),
        padding_(options.padding),
        stride_(options.stride) {}
  NN_MODULE()
  NN_OPTIONS(output_size_, kernel_size_, dilation_, padding_, stride_)
  ag::Tensor forward(const ag::Tensor& x) const {
    return ag::fold(x, output_size_, kernel_size_, {dilation_, padding_, stride_});
  }

 private:
  ag::Integers output_size_, kernel_size_, dilation_, padding_, stride_;
};

}  // namespace nn

#pragma GCC visibility pop
