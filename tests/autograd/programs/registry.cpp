#include <algorithm>
#include <cmath>

#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {
namespace {

constexpr double kMargin = 1e-2;

bool has_axes(const Tensor& x) { return x.ndim() > 0; }
bool filled(const Tensor& x) { return x.numel() > 0; }
bool is_square(const Tensor& x) { return x.ndim() == 2 && x.size(0) == x.size(1); }
bool same_shape(const Tensor& x, const Tensor& y) { return x.shape() == y.shape(); }

}  // namespace

bool above(const Tensor& x, double low) {
  const auto v = x.to_vector<double>();
  return std::all_of(v.begin(), v.end(), [=](double e) { return e > low; });
}

bool away(const Tensor& x, double point) {
  const auto v = x.to_vector<double>();
  return std::all_of(v.begin(), v.end(), [=](double e) { return std::abs(e - point) > kMargin; });
}

bool distinct(const Tensor& x) {
  auto v = x.to_vector<double>();
  std::sort(v.begin(), v.end());
  for (std::size_t i = 1; i < v.size(); ++i)
    if (v[i] - v[i - 1] < kMargin) return false;
  return !v.empty();
}

bool broadcast(const Tensor& x, const Tensor& y) {
  const Shape &s = x.shape(), &t = y.shape();
  for (std::size_t i = 1; i <= std::min(s.size(), t.size()); ++i) {
    const auto m = s[s.size() - i], n = t[t.size() - i];
    if (m != n && m != 1 && n != 1) return false;
  }
  return true;
}

bool apart(const Tensor& x, const Tensor& y) {
  const ag::NoGrad off;
  return broadcast(x, y) && away(x - y, 0);
}

bool multiply(const Tensor& x, const Tensor& y) {
  if (x.ndim() == 0 || y.ndim() == 0) return false;
  if (x.size(-1) != y.size(y.ndim() > 1 ? -2 : 0)) return false;
  if (x.ndim() < 3 || y.ndim() < 3) return true;
  Shape s = x.shape(), t = y.shape();
  for (Shape* batch : {&s, &t}) batch->resize(batch->size() - 2);
  return broadcast(ag::zeros(s), ag::zeros(t));
}

// One line for each operation. Keep values in range inside the call or say when it may be called.
const std::vector<Op>& registry() {
  static std::vector<Op> ops{
      // Smooth functions of one element.
      PROGRAM_OP(1, true, ag::neg(a)),
      PROGRAM_OP(1, true, ag::square(a)),
      PROGRAM_OP(1, above(a, 0.2), ag::sqrt(a)),
      PROGRAM_OP(1, true, ag::sqrt(ag::square(a) + 1)),
      PROGRAM_OP(1, true, ag::exp(-ag::square(a))),
      PROGRAM_OP(1, true, ag::exp(a)),
      PROGRAM_OP(1, true, ag::expm1(0.5 * a)),
      PROGRAM_OP(1, above(a, 0.2), ag::log(a)),
      PROGRAM_OP(1, true, ag::log1p(ag::square(a))),
      PROGRAM_OP(1, true, ag::sin(a)),
      PROGRAM_OP(1, true, ag::cos(a)),
      PROGRAM_OP(1, true, ag::tanh(a)),
      PROGRAM_OP(1, true, ag::erf(a)),
      PROGRAM_OP(1, true, ag::sigmoid(a)),
      PROGRAM_OP(1, true, ag::gelu(a)),
      PROGRAM_OP(1, true, ag::softplus(a)),
      PROGRAM_OP(1, above(a, 0.2), ag::pow(a, number)),
      PROGRAM_OP(1, true, ag::pow(1.5, a)),
      PROGRAM_OP(1, true, number * a + 0.25),
      PROGRAM_OP(1, true, a.clone()),
      PROGRAM_OP(1, true, ag::atan(a)),
      PROGRAM_OP(1, true, ag::asinh(a)),
      PROGRAM_OP(1, true, ag::sinh(ag::tanh(a))),
      PROGRAM_OP(1, true, ag::cosh(ag::sin(a))),
      PROGRAM_OP(1, true, ag::asin(0.9 * ag::tanh(a))),
      PROGRAM_OP(1, true, ag::acos(0.9 * ag::tanh(a))),
      PROGRAM_OP(1, true, ag::atanh(0.9 * ag::sin(a))),
      PROGRAM_OP(1, true, ag::tan(ag::sin(a))),
      PROGRAM_OP(1, true, ag::acosh(ag::square(a) + 1.5)),
      PROGRAM_OP(1, true, ag::exp2(a)),
      PROGRAM_OP(1, true, ag::log2(ag::square(a) + 0.5)),
      PROGRAM_OP(1, above(a, 0.2), ag::log10(a)),
      PROGRAM_OP(1, above(a, 0.2), ag::rsqrt(a)),
      PROGRAM_OP(1, above(a, 0.2), ag::cbrt(a)),
      PROGRAM_OP(1, above(a, 0.2), ag::reciprocal(a)),
      PROGRAM_OP(1, true, ag::erfc(a)),
      PROGRAM_OP(1, true, ag::erfinv(0.9 * ag::tanh(a))),
      PROGRAM_OP(1, true, ag::lgamma(ag::square(a) + 0.5)),
      PROGRAM_OP(1, true, ag::digamma(ag::square(a) + 1)),
      PROGRAM_OP(1, true, ag::silu(a)),
      PROGRAM_OP(1, true, ag::mish(a)),
      PROGRAM_OP(1, true, ag::gelu_tanh(a)),
      PROGRAM_OP(1, true, ag::logsigmoid(a)),
      PROGRAM_OP(1, true, ag::tanhshrink(a)),
      // With kinks: only away from them.
      PROGRAM_OP(1, away(a, 0), ag::abs(a)),
      PROGRAM_OP(1, away(a, 0), ag::sign(a) * a),
      PROGRAM_OP(1, away(a, 0), ag::relu(a)),
      PROGRAM_OP(1, away(a, -0.5) && away(a, 1), ag::clamp(a, -0.5, 1)),
      PROGRAM_OP(1, away(a, number), ag::maximum(a, number)),
      PROGRAM_OP(1, away(a, 0), ag::leaky_relu(a, 0.1)),
      PROGRAM_OP(1, away(a, 0), ag::elu(a, 1.5)),
      PROGRAM_OP(1, away(a, 0), ag::selu(a)),
      PROGRAM_OP(1, away(a, 0), ag::celu(a)),
      PROGRAM_OP(1, away(a, 0), ag::softsign(a)),
      PROGRAM_OP(1, away(a, 0.5) && away(a, -0.5), ag::softshrink(a)),
      PROGRAM_OP(1, away(a, 0) && away(a, 6), ag::relu6(a)),
      PROGRAM_OP(1, away(a, 3) && away(a, -3), ag::hardswish(a)),
      // Two and three operands that broadcast.
      PROGRAM_OP(2, broadcast(a, b), a + b),
      PROGRAM_OP(2, broadcast(a, b), a - b),
      PROGRAM_OP(2, broadcast(a, b), a * b),
      PROGRAM_OP(2, broadcast(a, b), a / (ag::square(b) + 0.5)),
      PROGRAM_OP(2, broadcast(a, b) && above(b, 0.2), a / b),
      PROGRAM_OP(2, broadcast(a, b) && above(a, 0.2), ag::pow(a, b)),
      PROGRAM_OP(2, apart(a, b), ag::maximum(a, b)),
      PROGRAM_OP(2, apart(a, b), ag::minimum(a, b)),
      PROGRAM_OP(2, broadcast(a, b) && above(a, 0.2), ag::atan2(a, b)),
      PROGRAM_OP(2, broadcast(a, b) && above(a, 0.2), ag::hypot(a, b)),
      PROGRAM_OP(2, broadcast(a, b), ag::logaddexp(a, b)),
      PROGRAM_OP(2, broadcast(a, b) && above(b, 0.2), ag::xlogy(a, b)),
      PROGRAM_OP(3, broadcast(a, b) && broadcast(a, c) && broadcast(b, c), ag::lerp(a, b, c)),
      PROGRAM_OP(2, broadcast(a, b) && away(a, 0), ag::where(a > 0, a, b)),
      PROGRAM_OP(3, apart(a, b) && apart(a, c) && apart(b, c), ag::clamp(a, b, c)),
      PROGRAM_OP(1, true, a * a),
      // Reductions.
      PROGRAM_OP(1, true, ag::sum(a)),
      PROGRAM_OP(1, has_axes(a), ag::sum(a, axis, flag)),
      PROGRAM_OP(1, filled(a), ag::mean(a, axis, flag)),
      PROGRAM_OP(1, filled(a), ag::mean(a, {}, flag)),
      PROGRAM_OP(1, distinct(a), ag::max(a, axis, flag)),
      PROGRAM_OP(1, distinct(a), ag::min(a, {}, flag)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1, ag::var(a, axis, flag)),
      PROGRAM_OP(1, filled(a), ag::var(a, axis, flag, 0)),
      PROGRAM_OP(1, filled(a), ag::logsumexp(a, axis, flag)),
      PROGRAM_OP(1, has_axes(a), ag::prod(a, axis, flag)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1 && distinct(a), ag::std(a, axis, flag)),
      PROGRAM_OP(1, filled(a) && away(a, 0), ag::norm(a, 2, axis, flag)),
      PROGRAM_OP(1, filled(a) && away(a, 0), ag::norm(a, 3, {}, flag)),
      PROGRAM_OP(1, has_axes(a), ag::cumsum(a, axis)),
      PROGRAM_OP(1, has_axes(a), ag::cumprod(a, axis)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::logcumsumexp(a, axis)),
      PROGRAM_OP(1, has_axes(a) && distinct(a), ag::sort(a, axis, flag).values),
      PROGRAM_OP(1, distinct(a), ag::median(a, axis, flag)),
      PROGRAM_OP(1, distinct(a), ag::quantile(a, 0.3, axis, flag)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1, ag::diff(a, 1, axis)),
      PROGRAM_OP(1, has_axes(a) && filled(a) && away(a, 0), ag::normalize(a, 2, axis)),
      // Movement, views among it.
      PROGRAM_OP(1, true, ag::reshape(a, shape)),
      PROGRAM_OP(1, true, ag::flatten(a)),
      PROGRAM_OP(1, true, ag::squeeze(a)),
      PROGRAM_OP(1, true, ag::unsqueeze(a, axis)),
      PROGRAM_OP(1, true, ag::permute(a, order)),
      PROGRAM_OP(1, has_axes(a), ag::transpose(a, axis, other)),
      PROGRAM_OP(2, broadcast(a, b), ag::expand(a, (a + b).shape())),
      PROGRAM_OP(2, broadcast(a, b) && (a + b).shape() == a.shape(), ag::sum_to(a, b.shape())),
      PROGRAM_OP(2, has_axes(a) && same_shape(a, b), ag::concat({a, b}, axis)),
      PROGRAM_OP(3, same_shape(a, b) && same_shape(a, c), ag::stack({a, b, c}, axis)),
      PROGRAM_OP(1, has_axes(a), ag::flip(a, axis)),
      PROGRAM_OP(1, has_axes(a), ag::roll(a, step, axis)),
      PROGRAM_OP(1, has_axes(a), ag::repeat_interleave(a, 2, axis)),
      PROGRAM_OP(1, has_axes(a), ag::pad(a, {1, 2})),
      PROGRAM_OP(1, has_axes(a) && a.size(-1) > 2, ag::pad(a, {1, 2}, ag::PadMode::reflect)),
      PROGRAM_OP(1, a.ndim() > 1, ag::diagonal(a, 0, axis, axis == a.ndim() - 1 ? 0 : axis + 1)),
      PROGRAM_OP(1, a.ndim() > 1, ag::tril(a)),
      PROGRAM_OP(1, a.ndim() > 1, ag::triu(a, 1)),
      PROGRAM_OP(1, has_axes(a), ag::diag_embed(a)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1, ag::unfold(a, axis, 2, 1)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::unbind(a, axis).back()),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::chunk(a, 2, axis).front()),
      // Indexing.
      PROGRAM_OP(1, has_axes(a), ag::narrow(a, axis, start, length)),
      PROGRAM_OP(1, has_axes(a), ag::slice(a, axis, start, start + length, step)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::slice(a, axis, -1, -8, -1)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::select(a, axis, entry)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::index_select(a, axis, index)),
      PROGRAM_OP(1, has_axes(a) && filled(a),
                 ag::from_rows(a.shape(), ag::flip(ag::arange(a.size(0))), a)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::gather(a, axis, grid)),
      PROGRAM_OP(2, has_axes(a) && filled(a) && b.shape() == grid.shape(),
                 ag::scatter_add_zeros(a.shape(), axis, grid, b)),
      PROGRAM_OP(2, has_axes(a) && filled(a) && b.shape() == grid.shape(),
                 ag::scatter_add(a, axis, grid, b)),
      PROGRAM_OP(1, away(a, 0), ag::masked_fill(a, a > 0, 0.5)),
      PROGRAM_OP(2,
                 has_axes(a) && filled(a) && broadcast(a, b) && a.ndim() == b.ndim() + 1 &&
                     same_shape(a[0] + b, a[0]),
                 ag::index_put(a, {-1}, b, flag)),
      PROGRAM_OP(1, has_axes(a) && filled(a),
                 ag::index_put(a, {ag::full({3}, -1, ag::int64)}, ag::sum(a), flag)),
      // Products and fused operations.
      PROGRAM_OP(2, multiply(a, b), ag::matmul(a, b)),
      PROGRAM_OP(1, a.ndim() > 1, ag::matmul(a, ag::transpose(a))),
      PROGRAM_OP(2, a.ndim() == 1 && b.ndim() == 1, ag::outer(a, b)),
      PROGRAM_OP(2, a.ndim() == 2 && b.ndim() == 2 && a.size(1) == b.size(0),
                 ag::einsum("ij,jk->ki", {a, b})),
      PROGRAM_OP(1, is_square(a),
                 ag::inv(ag::matmul(a, ag::transpose(a)) + ag::eye(a.size(0), a.dtype()))),
      PROGRAM_OP(1, is_square(a), ag::det(a)),
      PROGRAM_OP(1, is_square(a),
                 ag::cholesky(ag::matmul(a, ag::transpose(a)) + ag::eye(a.size(0), a.dtype()))),
      PROGRAM_OP(1, is_square(a), ag::matrix_exp(0.3 * a)),
      PROGRAM_OP(2, has_axes(a) && b.ndim() == 2 && a.size(-1) == b.size(1), ag::linear(a, b)),
      PROGRAM_OP(1, filled(a), ag::softmax(a, axis)),
      PROGRAM_OP(1, filled(a), ag::log_softmax(a, axis)),
      PROGRAM_OP(1, has_axes(a) && a.size(-1) > 1, ag::layer_norm(a, {a.size(-1)}, {}, {}, 0.1)),
      PROGRAM_OP(2, a.ndim() == 2 && filled(a) && same_shape(a, b),
                 ag::cross_entropy(a, ag::softmax(b, 1))),
      // Off the tape.
      PROGRAM_OP(1, true, a.detach()),
  };
  ops.back().constant = true;
  return ops;
}

}  // namespace programs
