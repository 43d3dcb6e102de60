#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

void check_pair(std::string_view op, const Tensor& a, const Tensor& b) {
  check_defined(op, Inputs(std::array{&a, &b}));
  internal::check_same_dtype(op, a, b);
}

void check_1d(std::string_view op, const Tensor& a, const Tensor& b, bool same_size) {
  check_pair(op, a, b);
  if (a.ndim() != 1 || b.ndim() != 1 || (same_size && a.shape() != b.shape()))
    fail(op, "needs two 1-d tensors{}, got {} and {}", same_size ? " of one size" : "", a.shape(),
         b.shape());
}

Tensor dot_named(std::string_view op, const Tensor& a, const Tensor& b) {
  check_1d(op, a, b, true);
  internal::check_floating(op, a);
  return matmul(a, b);
}

// The product of matrices first…last, split where `split` says.
Tensor chain(const TensorList& m, const std::vector<std::vector<std::size_t>>& split,
             std::size_t first, std::size_t last) {
  if (first == last) return m[first];
  const std::size_t middle = split[first][last];
  return matmul(chain(m, split, first, middle), chain(m, split, middle + 1, last));
}

Tensor with_matrix_axes(const Tensor& norm, bool keepdims) {
  return keepdims ? unsqueeze(unsqueeze(norm, -1), -1) : norm;
}

}  // namespace

Tensor dot(const Tensor& a, const Tensor& b) {
  const detail::Named as("dot");
  return dot_named("dot", a, b);
}
Tensor vdot(const Tensor& a, const Tensor& b) {
  const detail::Named as("vdot");
  return dot_named("vdot", a, b);
}

Tensor inner(const Tensor& a, const Tensor& b) {
  const detail::Named as("inner");
  check_pair("inner", a, b);
  if (a.ndim() == 0 || b.ndim() == 0) return a * b;
  if (a.size(-1) != b.size(-1))
    fail("inner", "the last sizes must agree, got {} and {}", a.shape(), b.shape());
  return tensordot(a, b, Axes(-1), Axes(-1));
}

Tensor outer(const Tensor& a, const Tensor& b) {
  const detail::Named as("outer");
  check_1d("outer", a, b, false);
  return unsqueeze(a, 1) * b;
}

Tensor kron(const Tensor& a, const Tensor& b) {
  const detail::Named as("kron");
  check_pair("kron", a, b);
  // Each axis of a stands before its axis of b; both are joined after the product.
  const std::size_t rank = std::max(a.shape().size(), b.shape().size());
  Shape sa, sb, out;
  for (std::size_t i = 0; i < rank; ++i) {
    const auto size = [&](const Shape& s) {
      return i + s.size() < rank ? 1 : s[i + s.size() - rank];
    };
    sa.push_back(size(a.shape())), sa.push_back(1);
    sb.push_back(1), sb.push_back(size(b.shape()));
    out.push_back(size(a.shape()) * size(b.shape()));
  }
  return reshape(reshape(a, sa) * reshape(b, sb), out);
}

Tensor cross(const Tensor& a, const Tensor& b, std::int64_t axis) {
  const detail::Named as("cross");
  check_pair("cross", a, b);
  const Shape both = shapes::broadcast("cross", a.shape(), b.shape());
  axis = shapes::axis("cross", axis, both);
  for (const Tensor* t : {&a, &b}) {
    const std::int64_t own = axis - both.ndim() + t->ndim();  // shapes are aligned at the end
    if (t->ndim() == 0 || own < 0 || t->size(own) != 3)
      fail("cross", "axis {} must have size 3, got {} and {}", axis, a.shape(), b.shape());
  }
  const Tensor x = expand(a, both), y = expand(b, both);
  const auto turn = [&](const Tensor& t, std::int64_t by) { return roll(t, -by, axis); };
  return turn(x, 1) * turn(y, 2) - turn(x, 2) * turn(y, 1);
}

Tensor trace(const Tensor& a, std::int64_t offset) {
  const detail::Named as("trace");
  check_defined("trace", Inputs(std::array{&a}));
  if (a.ndim() < 2) fail("trace", "needs matrices (…, m, n), got shape {}", a.shape());
  return sum(diagonal(a, offset, -2, -1), -1);
}

Tensor multi_dot(const TensorList& matrices) {
  const detail::Named as("multi_dot");
  const std::size_t n = matrices.size();
  if (n < 2) fail("multi_dot", "needs at least two matrices, got {}", n);
  TensorList m;
  std::vector<double> sizes;
  for (std::size_t i = 0; i < n; ++i) {
    const Tensor& t = matrices[i];
    check_defined("multi_dot", Inputs(std::array{&t}));
    internal::check_same_dtype("multi_dot", matrices[0], t);
    internal::check_floating("multi_dot", t);
    const bool vector = t.ndim() == 1 && (i == 0 || i + 1 == n);
    if (t.ndim() != 2 && !vector)
      fail("multi_dot", "needs matrices, of which the first and last may be 1-d, got {} at {}",
           t.shape(), i);
    m.push_back(vector ? unsqueeze(t, i == 0 ? 0 : 1) : t);
    if (i > 0 && m[i].size(0) != m[i - 1].size(1))
      fail("multi_dot", "inner sizes must match, got {} and {} at {}", matrices[i - 1].shape(),
           t.shape(), i);
    sizes.push_back(static_cast<double>(m[i].size(0)));
  }
  sizes.push_back(static_cast<double>(m[n - 1].size(1)));
  std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0));
  std::vector<std::vector<std::size_t>> split(n, std::vector<std::size_t>(n, 0));
  for (std::size_t length = 1; length < n; ++length)
    for (std::size_t i = 0; i + length < n; ++i) {
      const std::size_t j = i + length;
      cost[i][j] = std::numeric_limits<double>::infinity();
      for (std::size_t k = i; k < j; ++k) {
        const double c = cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1];
        if (c < cost[i][j]) cost[i][j] = c, split[i][j] = k;
      }
    }
  Tensor y = chain(m, split, 0, n - 1);
  if (matrices[n - 1].ndim() == 1) y = squeeze(y, -1);
  return matrices[0].ndim() == 1 ? squeeze(y, 0) : y;
}

Tensor matrix_power(const Tensor& a, std::int64_t n) {
  const detail::Named as("matrix_power");
  internal::check_square("matrix_power", a);
  if (n == 0) {
    const Tensor none = zeros({}, boolean);
    return where(none, a, eye(a.size(-1), a.dtype()));
  }
  Tensor power = n < 0 ? internal::inverse("matrix_power", a) : a, result;
  // The magnitude as unsigned: that of the least integer does not fit otherwise.
  const auto bits = static_cast<std::uint64_t>(n);
  for (std::uint64_t rest = n < 0 ? 0 - bits : bits;;) {
    if (rest & 1) result = result.defined() ? matmul(result, power) : power;
    if ((rest >>= 1) == 0) return result;
    power = matmul(power, power);
  }
}

Tensor matrix_norm(const Tensor& a, std::string_view ord, bool keepdims) {
  const detail::Named as("matrix_norm");
  internal::check_matrix("matrix_norm", a);
  if (ord == "fro") return norm(a, 2, {-2, -1}, keepdims);
  if (ord == "nuc")
    return with_matrix_axes(sum(internal::singular_values("matrix_norm", a), -1), keepdims);
  fail("matrix_norm", "ord must be \"fro\", \"nuc\", 1, -1, 2, -2, inf or -inf, got \"{}\"",
       quoted(ord));
}

Tensor matrix_norm(const Tensor& a, double ord, bool keepdims) {
  const detail::Named as("matrix_norm");
  internal::check_matrix("matrix_norm", a);
  const double p = std::abs(ord);
  if (p != 1 && p != 2 && p != HUGE_VAL)
    fail("matrix_norm", "ord must be \"fro\", \"nuc\", 1, -1, 2, -2, inf or -inf, got {}", ord);
  const std::int64_t m = a.size(-2), n = a.size(-1);
  if ((p == 1 ? n : p == 2 ? std::min(m, n) : m) == 0)
    fail("matrix_norm", "the matrices must not be empty for ord {}, got shape {}", ord, a.shape());
  const Tensor candidates =
      p == 2 ? internal::singular_values("matrix_norm", a) : sum(abs(a), p == 1 ? -2 : -1);
  return with_matrix_axes(ord > 0 ? max(candidates, -1) : min(candidates, -1), keepdims);
}

Tensor cond(const Tensor& a) {
  const detail::Named as("cond");
  internal::check_matrix("cond", a);
  if (std::min(a.size(-1), a.size(-2)) == 0)
    fail("cond", "the matrices must not be empty, got shape {}", a.shape());
  const Tensor s = internal::singular_values("cond", a);
  return max(s, -1) / min(s, -1);
}

}  // namespace autograd
