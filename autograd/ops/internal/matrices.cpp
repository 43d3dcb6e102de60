#include "autograd/ops/internal/matrices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd::internal {

void check_matrix(std::string_view op, const Tensor& x) {
  if (!x.defined())
    fail(op, "the tensor must be defined, got an undefined one; {}", kUndefinedHint);
  check_floating(op, x);
  if (x.ndim() < 2) fail(op, "needs matrices (…, m, n), got shape {}", x.shape());
}

void check_square(std::string_view op, const Tensor& x) {
  check_matrix(op, x);
  if (x.size(-1) != x.size(-2))
    fail(op, "needs square matrices (…, n, n), got shape {}", x.shape());
}

void check_finite(std::string_view op, const Tensor& x) {
  dispatch_floating(op, x.dtype(), [&](auto zero) {
    const auto* p = x.data<decltype(zero)>();
    const auto* bad = std::find_if_not(p, p + x.numel(), [](auto v) { return std::isfinite(v); });
    if (bad != p + x.numel())
      fail(op, "the matrix must be finite, got {}{}", *bad,
           at_batch(batch_of(x.shape()), (bad - p) / (x.size(-1) * x.size(-2))));
  });
}

Shape batch_of(const Shape& s) { return Shape(s.begin(), s.end() - 2); }

Shape matrices(Shape batch, std::int64_t m, std::int64_t n) {
  batch.push_back(m);
  batch.push_back(n);
  return batch;
}

Shape vectors(Shape batch, std::int64_t n) {
  batch.push_back(n);
  return batch;
}

std::string at_batch(const Shape& batch, std::int64_t i) {
  if (batch.empty()) return "";
  Shape at = batch;
  for (std::size_t axis = batch.size(); axis-- > 0; i /= batch[axis]) at[axis] = i % batch[axis];
  return fmt::format(" at batch {}", at);
}

Tensor symmetric(const Tensor& x) { return 0.5 * (x + transpose(x)); }

}  // namespace autograd::internal
