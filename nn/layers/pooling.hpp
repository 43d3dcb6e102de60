#pragma once

#include "autograd/ops/neural/pooling.hpp"
#include "nn/module/options.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Options of `MaxUnpool2d` and its kin: those of the pooling.
struct MaxUnpoolLayerOptions {
  ag::Integers stride{};     ///< none: the kernel
  ag::Integers padding = 0;  ///< for all axes, or one for each
};

namespace detail {
// What makes forward() give the places too.
struct WithIndices {};

/// The largest of each window, by one of `ag::max_pool1d` and its kin.
template <auto pool, auto pool_with_indices>
struct MaxPool : Module {
  explicit MaxPool(const ag::Integers& kernel_size, const ag::MaxPoolOptions& options = {})
      : kernel_size_(kernel_size),
        stride_(options.stride.empty() ? kernel_size : options.stride),
        padding_(options.padding),
        dilation_(options.dilation),
        ceil_mode_(options.ceil_mode) {}
  NN_OPTIONS(kernel_size_, stride_, padding_, dilation_, ceil_mode_)
  ag::Tensor forward(const ag::Tensor& x) const { return pool(x, kernel_size_, options()); }
  ag::MaxPooled forward(const ag::Tensor& x, WithIndices) const {
    return pool_with_indices(x, kernel_size_, options());
  }
  /// The call of PyTorch's `return_indices`: `const auto [y, places] = pool.with_indices(x);`, for
  /// `unpool(y, places)`. Hooks see both.
  ag::MaxPooled with_indices(const ag::Tensor& x) const {
    return run_forward(*this, x, WithIndices{});
  }

 private:
  ag::MaxPoolOptions options() const { return {stride_, padding_, dilation_, ceil_mode_}; }

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

 protected:
  ag::Integers output_size_;
};

/// The same for the largest, with the places on request.
template <auto pool, auto pool_with_indices>
struct AdaptiveMaxPool : AdaptivePool<pool> {
  using AdaptivePool<pool>::AdaptivePool;
  using AdaptivePool<pool>::forward;
  ag::MaxPooled forward(const ag::Tensor& x, WithIndices) const {
    return pool_with_indices(x, this->output_size_);
  }
  /// See `MaxPool2d::with_indices`.
  ag::MaxPooled with_indices(const ag::Tensor& x) const {
    return Module::run_forward(*this, x, WithIndices{});
  }
};

/// Back from max pooling along `axes` axes, by one of `ag::max_unpool1d` and its kin.
template <auto unpool, std::size_t axes>
struct MaxUnpool : Module {
  explicit MaxUnpool(const ag::Integers& kernel_size, const MaxUnpoolLayerOptions& options = {})
      : kernel_size_(for_each_axis(kernel_size)),
        stride_(options.stride.empty() ? kernel_size_ : for_each_axis(options.stride)),
        padding_(for_each_axis(options.padding)) {}
  ag::Tensor forward(const ag::Tensor& x, const ag::Tensor& indices,
                     const ag::Integers& output_size = {}) const {
    return unpool(x, indices, kernel_size_,
                  {.stride = stride_, .padding = padding_, .output_size = output_size});
  }
  std::string extra_repr() const override {
    const auto text = [](const ag::Integers& n) { return ag::Shape(n.begin(), n.end()).str(); };
    return fmt::format("kernel_size={}, stride={}, padding={}", text(kernel_size_), text(stride_),
                       text(padding_));
  }

 private:
  // As PyTorch keeps and prints them.
  static ag::Integers for_each_axis(const ag::Integers& numbers) {
    if (numbers.size() != 1) return numbers;
    ag::Integers all;
    for (std::size_t d = 0; d < axes; ++d) all.push_back(numbers[0]);
    return all;
  }

  ag::Integers kernel_size_, stride_, padding_;
};

/// The norm of each window, by one of `ag::lp_pool1d` and its kin.
template <auto pool>
struct LPPool : Module {
  LPPool(double norm_type, const ag::Integers& kernel_size, const ag::LpPoolOptions& options = {})
      : norm_type_(norm_type), kernel_size_(kernel_size), options_(options) {}
  ag::Tensor forward(const ag::Tensor& x) const {
    return pool(x, norm_type_, kernel_size_, options_);
  }
  std::string extra_repr() const override {
    const std::string stride =
        options_.stride.empty() ? "stride=None" : OptionsText::of("stride", options_.stride);
    return fmt::format("norm_type={}, {}, {}, {}", norm_type_,
                       OptionsText::of("kernel_size", kernel_size_), stride,
                       OptionsText::of("ceil_mode", options_.ceil_mode));
  }

 private:
  double norm_type_;
  ag::Integers kernel_size_;
  ag::LpPoolOptions options_;
};
}  // namespace detail

/// The largest element of each window; see `ag::max_pool1d`.
class MaxPool1d : public detail::MaxPool<ag::max_pool1d, ag::max_pool1d_with_indices> {
 public:
  using MaxPool::MaxPool;
  NN_MODULE()
};
/// The largest element of each window; see `ag::max_pool2d`.
class MaxPool2d : public detail::MaxPool<ag::max_pool2d, ag::max_pool2d_with_indices> {
 public:
  using MaxPool::MaxPool;
  NN_MODULE()
};
/// The largest element of each window; see `ag::max_pool3d`.
class MaxPool3d : public detail::MaxPool<ag::max_pool3d, ag::max_pool3d_with_indices> {
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
class AdaptiveMaxPool1d : public detail::AdaptiveMaxPool<ag::adaptive_max_pool1d,
                                                         ag::adaptive_max_pool1d_with_indices> {
 public:
  using AdaptiveMaxPool::AdaptiveMaxPool;
  NN_MODULE()
};
/// The largest of windows that cover x; see `ag::adaptive_max_pool2d`.
class AdaptiveMaxPool2d : public detail::AdaptiveMaxPool<ag::adaptive_max_pool2d,
                                                         ag::adaptive_max_pool2d_with_indices> {
 public:
  using AdaptiveMaxPool::AdaptiveMaxPool;
  NN_MODULE()
};
/// The largest of windows that cover x; see `ag::adaptive_max_pool3d`.
class AdaptiveMaxPool3d : public detail::AdaptiveMaxPool<ag::adaptive_max_pool3d,
                                                         ag::adaptive_max_pool3d_with_indices> {
 public:
  using AdaptiveMaxPool::AdaptiveMaxPool;
  NN_MODULE()
};

/// The largest elements back in their places, from the indices of `ag::max_pool1d_with_indices`;
/// see `ag::max_unpool1d`.
class MaxUnpool1d : public detail::MaxUnpool<ag::max_unpool1d, 1> {
 public:
  using MaxUnpool::MaxUnpool;
  NN_MODULE()
  ag::Tensor operator()(const ag::Tensor& x, const ag::Tensor& indices,
                        const ag::Integers& output_size) const {
    return call_forward(*this, x, indices, output_size);
  }
};
/// The largest elements back in their places, from the indices of `ag::max_pool2d_with_indices`;
/// see `ag::max_unpool2d`.
class MaxUnpool2d : public detail::MaxUnpool<ag::max_unpool2d, 2> {
 public:
  using MaxUnpool::MaxUnpool;
  NN_MODULE()
  ag::Tensor operator()(const ag::Tensor& x, const ag::Tensor& indices,
                        const ag::Integers& output_size) const {
    return call_forward(*this, x, indices, output_size);
  }
};
/// The largest elements back in their places, from the indices of `ag::max_pool3d_with_indices`;
/// see `ag::max_unpool3d`.
class MaxUnpool3d : public detail::MaxUnpool<ag::max_unpool3d, 3> {
 public:
  using MaxUnpool::MaxUnpool;
  NN_MODULE()
  ag::Tensor operator()(const ag::Tensor& x, const ag::Tensor& indices,
                        const ag::Integers& output_size) const {
    return call_forward(*this, x, indices, output_size);
  }
};

/// The norm of each window; see `ag::lp_pool1d`.
class LPPool1d : public detail::LPPool<ag::lp_pool1d> {
 public:
  using LPPool::LPPool;
  NN_MODULE()
};
/// The norm of each window; see `ag::lp_pool2d`.
class LPPool2d : public detail::LPPool<ag::lp_pool2d> {
 public:
  using LPPool::LPPool;
  NN_MODULE()
};
/// The norm of each window; see `ag::lp_pool3d`.
class LPPool3d : public detail::LPPool<ag::lp_pool3d> {
 public:
  using LPPool::LPPool;
  NN_MODULE()
};

}  // namespace nn

#pragma GCC visibility pop
