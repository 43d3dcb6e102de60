#include "nn/layers/norms.hpp"

#include <algorithm>

#include "autograd/ops/neural/norms.hpp"
#include "autograd/ops/ops.hpp"

namespace nn {

GroupNorm::GroupNorm(std::int64_t num_groups, std::int64_t num_channels,
                     const GroupNormOptions& options)
    : num_groups_(num_groups), num_channels_(num_channels), options_(options) {
  if (num_groups < 1 || num_channels < 1 || num_channels % num_groups != 0)
    ag::fail("group_norm", "num_groups must divide num_channels, got {} and {}", num_groups,
             num_channels);
  if (!(options.eps >= 0)) ag::fail("group_norm", "eps must be at least 0, got {}", options.eps);
  if (!options.affine) return;
  weight = Parameter(ag::ones({num_channels}));
  if (options.bias) bias = Parameter(ag::zeros({num_channels}));
}

ag::Tensor GroupNorm::forward(const ag::Tensor& x) const {
  if (!x.defined()) ag::fail("group_norm", "x must be defined, got an undefined tensor");
  if (x.ndim() < 2 || x.size(1) != num_channels_)
    ag::fail("group_norm", "x must be (n, {}, …), got shape {}", num_channels_, x.shape());
  return ag::group_norm(x, num_groups_, weight, bias, options_.eps);
}

std::string GroupNorm::extra_repr() const {
  return fmt::format("{}, {}, eps={}, affine={}, bias={}", num_groups_, num_channels_,
                     repr(options_.eps), repr(options_.affine), repr(bias.defined()));
}

RMSNorm::RMSNorm(const ag::Shape& normalized_shape, const RMSNormOptions& options)
    : shape_(normalized_shape), eps_(options.eps) {
  if (shape_.empty() || std::any_of(shape_.begin(), shape_.end(), [](auto n) { return n < 1; }))
    ag::fail("rms_norm", "normalized_shape must have sizes of at least 1, got {}", shape_);
  if (eps_ && !(*eps_ >= 0)) ag::fail("rms_norm", "eps must be at least 0, got {}", *eps_);
  if (options.elementwise_affine) weight = Parameter(ag::ones(shape_));
}

ag::Tensor RMSNorm::forward(const ag::Tensor& x) const {
  return ag::rms_norm(x, shape_, weight, eps_);
}

std::string RMSNorm::extra_repr() const {
  return fmt::format("{}, eps={}, elementwise_affine={}", shape_, eps_ ? repr(*eps_) : "None",
                     repr(weight.defined()));
}

LocalResponseNorm::LocalResponseNorm(std::int64_t size, const LocalResponseNormOptions& options)
    : size_(size), options_(options) {
  if (size < 1) ag::fail("local_response_norm", "size must be at least 1, got {}", size);
}

ag::Tensor LocalResponseNorm::forward(const ag::Tensor& x) const {
  return ag::local_response_norm(x, size_, options_.alpha, options_.beta, options_.k);
}

std::string LocalResponseNorm::extra_repr() const {
  return fmt::format("{}, alpha={}, beta={}, k={}", size_, repr(options_.alpha),
                     repr(options_.beta), repr(options_.k));
}

}  // namespace nn
