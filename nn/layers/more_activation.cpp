#include "nn/layers/more_activation.hpp"

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"

namespace nn {

ag::Tensor Softmin::forward(const ag::Tensor& x) const { return ag::softmax(-x, dim_); }

ag::Tensor Softmax2d::forward(const ag::Tensor& x) const {
  if (x.ndim() != 3 && x.ndim() != 4)
    ag::fail("Softmax2d", "needs inputs (n, c, h, w) or (c, h, w), got shape {}", x.shape());
  return ag::softmax(x, -3);
}

RReLU::RReLU(double lower, double upper) : lower_(lower), upper_(upper) {
  if (!(lower >= 0 && lower <= upper && upper <= 1))
    ag::fail("RReLU", "needs 0 ≤ lower ≤ upper ≤ 1, got {} and {}", lower, upper);
}

ag::Tensor RReLU::forward(const ag::Tensor& x) const {
  if (!is_training()) return ag::leaky_relu(x, (lower_ + upper_) / 2);
  const ag::Tensor slope = ag::rand(x.shape(), x.dtype()) * (upper_ - lower_) + lower_;
  return ag::where(x >= 0, x, slope * x);
}

}  // namespace nn
