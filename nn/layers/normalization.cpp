#include "nn/layers/normalization.hpp"

#include <algorithm>

#include "autograd/ops/ops.hpp"

namespace nn {

LayerNorm::LayerNorm(const ag::Shape& normalized_shape, const LayerNormOptions& options)
    : shape_(normalized_shape), eps_(options.eps) {
  if (shape_.empty() || std::any_of(shape_.begin(), shape_.end(), [](auto n) { return n < 1; }))
    ag::fail("layer_norm", "normalized_shape must have sizes of at least 1, got {}", shape_);
  if (!(eps_ >= 0)) ag::fail("layer_norm", "eps must be at least 0, got {}", eps_);
  if (!options.elementwise_affine) return;
  weight = Parameter(ag::ones(shape_));
  if (options.bias) bias = Parameter(ag::zeros(shape_));
}

ag::Tensor LayerNorm::forward(const ag::Tensor& x) const {
  return ag::layer_norm(x, shape_, weight, bias, eps_);
}

std::string LayerNorm::extra_repr() const {
  return fmt::format("{}, eps={}, elementwise_affine={}", shape_, repr(eps_),
                     repr(weight.defined()));
}

}  // namespace nn
