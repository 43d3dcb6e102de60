#include "nn/layers/parametrized.hpp"

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "autograd/tape/recomputation.hpp"

namespace nn::detail {
namespace {

// `dim` counted from the first axis.
std::int64_t checked_axis(std::string_view op, const ag::Tensor& weight, std::int64_t dim) {
  const std::int64_t axes = weight.ndim();
  if (dim < -axes || dim >= axes)
    ag::fail(op, "dim must be an axis of the weight {}, got {}", weight.shape(), dim);
  return dim < 0 ? dim + axes : dim;
}

}  // namespace

NormedWeight::NormedWeight(const ag::Tensor& weight, std::optional<std::int64_t> dim)
    : original1(weight.detach()) {
  if (dim) dim_ = checked_axis("weight_norm", weight, *dim);
  const ag::NoGrad off;
  original0 = Parameter(lengths());
}

ag::Tensor NormedWeight::lengths() const {
  if (!dim_) return ag::norm(original1);
  ag::Axes others;
  for (std::int64_t d = 0; d < original1.ndim(); ++d)
    if (d != *dim_) others.push_back(d);
  // No axes would mean all of them.
  return others.empty() ? ag::abs(original1) : ag::norm(original1, 2, others, true);
}

ag::Tensor NormedWeight::value() const { return original1 * (original0 / lengths()); }

SpectralWeight::SpectralWeight(const ag::Tensor& weight, std::int64_t n_power_iterations,
                               double eps, std::int64_t dim)
    : original(weight.detach()), n_power_iterations_(n_power_iterations), eps_(eps) {
  if (n_power_iterations < 1)
    ag::fail("spectral_norm", "n_power_iterations must be at least 1, got {}", n_power_iterations);
  if (!(eps >= 0)) ag::fail("spectral_norm", "eps must be at least 0, got {}", eps);
  dim_ = checked_axis("spectral_norm", weight, dim);
  const ag::NoGrad off;
  const ag::Shape shape = matrix().shape();
  vectors._u = Buffer(ag::randn({shape[0]}, weight.dtype()));
  vectors._v = Buffer(ag::randn({shape[1]}, weight.dtype()));
  iterate(15);
}

ag::Tensor SpectralWeight::matrix() const {
  ag::Axes order{dim_};
  for (std::int64_t d = 0; d < original.ndim(); ++d)
    if (d != dim_) order.push_back(d);
  const ag::Tensor rows = dim_ == 0 ? ag::Tensor(original) : ag::permute(original, order);
  return ag::flatten(rows, 1);
}

void SpectralWeight::iterate(std::int64_t times) const {
  const ag::NoGrad off;
  const ag::Tensor w = matrix();
  ag::Tensor u = vectors._u, v = vectors._v;
  const auto unit = [&](const ag::Tensor& x) { return x / ag::maximum(ag::norm(x), eps_); };
  for (; times > 0; --times) {
    u.copy_(unit(ag::matmul(w, v)));
    v.copy_(unit(ag::matmul(u, w)));
  }
}

ag::Tensor SpectralWeight::value() const {
  if (is_training() && !ag::recomputing()) iterate(n_power_iterations_);
  // Copies, since the next call changes the vectors, perhaps before the backward walk of this one.
  const ag::Tensor u = vectors._u.clone(), v = vectors._v.clone();
  return original / ag::sum(u * ag::matmul(matrix(), v));
}

}  // namespace nn::detail
