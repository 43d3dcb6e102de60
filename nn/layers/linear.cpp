#include "nn/layers/linear.hpp"

#include "autograd/ops/ops.hpp"
#include "nn/module/init.hpp"

namespace nn {

Linear::Linear(std::int64_t in_features, std::int64_t out_features, bool with_bias) {
  if (in_features < 1 || out_features < 1)
    ag::fail("linear", "in_features and out_features must be at least 1, got {} and {}",
             in_features, out_features);
  weight = Parameter(ag::empty({out_features, in_features}));
  if (with_bias) bias = Parameter(ag::empty({out_features}));
  reset_parameters();
}

void Linear::reset_parameters() { detail::reset_affine(weight, bias); }

ag::Tensor Linear::forward_with(const ag::Tensor& x, const ag::Tensor& w,
                                const ag::Tensor& b) const {
  return ag::linear(x, w, b);
}

std::string Linear::extra_repr() const {
  return fmt::format("in_features={}, out_features={}, bias={}", in_features(), out_features(),
                     repr(bias.defined()));
}

}  // namespace nn
