#include "nn/layers/distance.hpp"

#include <cmath>

#include "autograd/ops/linalg/distance.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/module/init.hpp"

namespace nn {

ag::Tensor CosineSimilarity::forward(const ag::Tensor& a, const ag::Tensor& b) const {
  return ag::cosine_similarity(a, b, dim_, eps_);
}

ag::Tensor PairwiseDistance::forward(const ag::Tensor& a, const ag::Tensor& b) const {
  return ag::pairwise_distance(a, b, {norm_, eps_, keepdim_});
}

Bilinear::Bilinear(std::int64_t in1_features, std::int64_t in2_features, std::int64_t out_features,
                   bool with_bias) {
  if (in1_features < 1 || in2_features < 1 || out_features < 1)
    ag::fail("Bilinear", "sizes must be at least 1, got {}, {} and {}", in1_features, in2_features,
             out_features);
  weight = Parameter(ag::empty({out_features, in1_features, in2_features}));
  if (with_bias) bias = Parameter(ag::empty({out_features}));
  reset_parameters();
}

void Bilinear::reset_parameters() {
  const double bound = 1 / std::sqrt(static_cast<double>(weight.size(1)));
  init::uniform_(weight, -bound, bound);
  if (bias.defined()) init::uniform_(bias, -bound, bound);
}

ag::Tensor Bilinear::forward(const ag::Tensor& x1, const ag::Tensor& x2) const {
  const auto fits = [](const ag::Tensor& x, std::int64_t features) {
    return x.ndim() > 0 && x.size(-1) == features;
  };
  ag::Shape shape = x1.shape(), other = x2.shape();
  if (!fits(x1, weight.size(1)) || !fits(x2, weight.size(2)))
    ag::fail("Bilinear", "needs inputs (…, {}) and (…, {}), got {} and {}", weight.size(1),
             weight.size(2), shape, other);
  shape.back() = other.back() = weight.size(0);
  if (shape != other)
    ag::fail("Bilinear", "inputs must agree but for the last axis, got {} and {}", x1.shape(),
             x2.shape());
  const std::int64_t n = shape.numel() / weight.size(0);
  const ag::Tensor y = ag::einsum("ni,oij,nj->no", {ag::reshape(x1, {n, weight.size(1)}), weight,
                                                    ag::reshape(x2, {n, weight.size(2)})});
  return ag::reshape(bias.defined() ? y + bias : y, shape);
}

std::string Bilinear::extra_repr() const {
  return fmt::format("in1_features={}, in2_features={}, out_features={}, bias={}", weight.size(1),
                     weight.size(2), weight.size(0), repr(bias.defined()));
}

}  // namespace nn
