#include "nn/layers/dropout.hpp"

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"

namespace nn {

Dropout::Dropout(double p) : p_(p) {
  if (!(p >= 0 && p <= 1)) ag::fail("dropout", "p must be in [0, 1], got {}", p);
}

ag::Tensor detail::drop_elements(const ag::Tensor& x, double p) {
  if (p == 0) return x;
  if (p == 1) return x * ag::zeros(x.shape(), x.dtype());
  return x * (ag::bernoulli(x.shape(), 1 - p, x.dtype()) / (1 - p));
}

ag::Tensor Dropout::forward(const ag::Tensor& x) const {
  const ag::detail::Named as("dropout");
  if (!x.defined()) ag::fail("dropout", "x must be defined, got an undefined tensor");
  if (!ag::is_floating(x.dtype()))
    ag::fail("dropout", "needs float32 or float64, got {}; convert with .to(float32)",
             ag::name(x.dtype()));
  return is_training() ? detail::drop_elements(x, p_) : x;
}

std::string Dropout::extra_repr() const { return fmt::format("p={}, inplace=False", repr(p_)); }

}  // namespace nn
