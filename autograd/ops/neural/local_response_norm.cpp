#include "autograd/ops/neural/norms.hpp"

#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/ops.hpp"

// Normalisation that is made of other operations.
namespace autograd {
namespace {

// x (n, channels, …) as (n, channels, the others in one).
Tensor planes(const Tensor& x) {
  std::int64_t inner = 1;
  for (std::size_t d = 2; d < x.shape().size(); ++d) inner *= x.shape()[d];
  return reshape(x, {x.shape()[0], x.shape()[1], inner});
}

}  // namespace

Tensor group_norm(const Tensor& x, std::int64_t num_groups, const Tensor& weight,
                  const Tensor& bias, double eps) {
  const detail::Named as("group_norm");
  const char* op = "group_norm";
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  if (x.ndim() < 2) fail(op, "x must be (n, channels, …), got shape {}", x.shape());
  const std::int64_t n = x.size(0), channels = x.size(1);
  if (num_groups < 1 || channels % num_groups != 0)
    fail(op, "num_groups must divide the channels, got {} for x {}", num_groups, x.shape());
  for (const Tensor* t : {&weight, &bias}) {
    if (!t->defined()) continue;
    internal::check_same_dtype(op, x, *t);
    if (t->shape() != Shape{channels})
      fail(op, "weight and bias must have one number for each of {} channels, got shape {}",
           channels, t->shape());
  }
  const Tensor in = planes(x);
  const std::int64_t width = channels / num_groups * in.shape()[2];
  Tensor y = layer_norm(reshape(in, {n * num_groups, width}), {width}, {}, {}, eps);
  y = reshape(y, in.shape());
  if (weight.defined()) y = y * unsqueeze(weight, 1);
  if (bias.defined()) y = y + unsqueeze(bias, 1);
  return reshape(y, x.shape());
}

Tensor local_response_norm(const Tensor& x, std::int64_t size, double alpha, double beta,
                           double k) {
  const detail::Named as("local_response_norm");
  const char* op = "local_response_norm";
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  if (size < 1) fail(op, "size must be at least 1, got {}", size);
  if (x.ndim() < 3)
    fail(op, "x must be (n, channels, …) of at least 3 axes, got shape {}", x.shape());
  if (x.numel() == 0) return x.clone();
  // The channels are rows of an image: a mean over windows of them.
  const Tensor squares = unsqueeze(square(planes(x)), 1);
  const Tensor mean =
      avg_pool2d(pad(squares, {0, 0, size / 2, (size - 1) / 2}), {size, 1}, {.stride = 1});
  return x / pow(k + alpha * reshape(mean, x.shape()), beta);
}

}  // namespace autograd
