#include "autograd/ops/neural/norms.hpp"

#include "autograd/ops/neural/internal/fused.hpp"
#include "autograd/ops/ops.hpp"

// Local response normalisation.
namespace autograd {
namespace {

// x (n, channels, …) as (n, channels, the others in one).
Tensor planes(const Tensor& x) {
  std::int64_t inner = 1;
  for (std::size_t d = 2; d < x.shape().size(); ++d) inner *= x.shape()[d];
  return reshape(x, {x.shape()[0], x.shape()[1], inner});
}

}  // namespace

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
