#pragma once

#include "autograd/ops/neural/pooling.hpp"
#include "nn/module/options.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
/// The largest of each window, by one of `ag::max_pool1d` and its kin.
template <auto pool>
struct MaxPool : Module {
  explicit MaxPool(const ag::Integers& kernel_size, const ag::MaxPoolOptions& options = {})
      : kernel_size_(kernel_size),
        stride_(options.stride.empty() ? kernel_size : options.stride),
        padding_(options.padding),
        dilation_(options.dilation),
        ceil_mode_(options.ceil_mode) {}
  NN_OPTIONS(kernel_size_, stride_, padding_, dilation_, ceil_mode_)
  ag::Tensor forward(const ag::Tensor& x) const {
    return pool(x, kernel_size_, {stride_, padding_, dilation_, ceil_mode_});
  }

 private:
  ag::Integers kernel_size_, stride_, padding_, dilation_;
  bool ceil_mode_;
};

/// The mean of each window, by one of `ag::avg_pool1d` and its kin.
template <auto pool>
struct AvgPool : Module {
  explicit AvgPool(const ag::Integers& kernel_size, const ag::AvgPoolOptions& options = {})
      : kernel_size_(kernel_size),
        stride_(options.stride.empty() ? kernel_size : options.stride),
        padding_(options.padding),
        options_(options) {}
  NN_OPTIONS(kernel_size_, stride_, padding_)
  ag::Tensor forward(const ag::Tensor& x) const { return pool(x, kernel_size_, options_); }

 private:
  ag::Integers kernel_size_, stride_, padding_;
  ag::AvgPoolOptions options_;
};

/// Windows for a result of the given sizes, by one of `ag::adaptive_avg_pool1d` and its kin.
template <auto pool>
struct AdaptivePool : Module {
  explicit AdaptivePool(const ag::Integers& output_size) : output_size_(output_size) {}
  NN_OPTIONS(output_size_)
  ag::Tensor forward(const ag::Tensor& x) const { return pool(x, output_size_); }

 private:
  ag::Integers output_size_;
};
}  // namespace detail

/// The largest element of each window; see `ag::max_pool1d`.
class MaxPool1d : public detail::MaxPool<ag::max_pool1d> {
 public:
  using MaxPool::MaxPool;
  NN_MODULE()
};
/// The largest element of each window; see `ag::max_pool2d`.
class MaxPool2d : public detail::MaxPool<ag::max_pool2d> {
 public:
  using MaxPool::MaxPool;
  NN_MODULE()
};
/// The largest element of each window; see `ag::max_pool3d`.
class MaxPool3d : public detail::MaxPool<ag::max_pool3d> {
 public:
  using MaxPool::MaxPool;
  NN_MODULE()
};

/// The mean of each window; see `ag::avg_pool1d`.
class AvgPool1d : public detail::AvgPool<ag::avg_pool1d> {
 public:
  using AvgPool::AvgPool;
  NN_MODULE()
};
/// The mean of each window; see `ag::avg_pool2d`.
class AvgPool2d : public detail::AvgPool<ag::avg_pool2d> {
 public:
  using AvgPool::AvgPool;
  NN_MODULE()
};
/// The mean of each window; see `ag::avg_pool3d`.
class AvgPool3d : public detail::AvgPool<ag::avg_pool3d> {
 public:
  using AvgPool::AvgPool;
  NN_MODULE()
};

/// Means of windows that cover x; see `ag::adaptive_avg_pool1d`. 1 gives the mean of all.
class AdaptiveAvgPool1d : public detail::AdaptivePool<ag::adaptive_avg_pool1d> {
 public:
  using AdaptivePool::AdaptivePool;
  NN_MODULE()
};
/// Means of windows that cover x; see `ag::adaptive_avg_pool2d`. 1 gives the mean of all.
class AdaptiveAvgPool2d : public detail::AdaptivePool<ag::adaptive_avg_pool2d> {
 public:
  using AdaptivePool::AdaptivePool;
  NN_MODULE()
};
/// Means of windows that cover x; see `ag::adaptive_avg_pool3d`. 1 gives the mean of all.
class AdaptiveAvgPool3d : public detail::AdaptivePool<ag::adaptive_avg_pool3d> {
 public:
  using AdaptivePool::AdaptivePool;
  NN_MODULE()
};

/// The largest of windows that cover x; see `ag::adaptive_max_pool1d`.
class AdaptiveMaxPool1d : public detail::AdaptivePool<ag::adaptive_max_pool1d> {
 public:
  using AdaptivePool::AdaptivePool;
  NN_MODULE()
};
/// The largest of windows that cover x; see `ag::adaptive_max_pool2d`.
class AdaptiveMaxPool2d : public detail::AdaptivePool<ag::adaptive_max_pool2d> {
 public:
  using AdaptivePool::AdaptivePool;
  NN_MODULE()
};
/// The largest of windows that cover x; see `ag::adaptive_max_pool3d`.
class AdaptiveMaxPool3d : public detail::AdaptivePool<ag::adaptive_max_pool3d> {
 public:
  using AdaptivePool::AdaptivePool;
  NN_MODULE()
};

}  // namespace nn

#pragma GCC visibility pop
