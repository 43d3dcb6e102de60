#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autograd/kernels/gemm.hpp"
#include "autograd/kernels/lapack.hpp"
#include "autograd/ops/internal/matrices.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using Matrix = std::vector<double>;

double norm1(std::int64_t n, const Matrix& a) {
  double most = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    double s = 0;
    for (std::int64_t i = 0; i < n; ++i) s += std::abs(a[static_cast<std::size_t>(i * n + j)]);
    if (!(s <= most)) most = s;  // NaN stays
  }
  return most;
}

// A matrix, and its tangent where one is asked for. With tangents, a sum or product is one of each
// (Al-Mohy and Higham, Computing the Fréchet derivative of the matrix exponential, 2009).
using Terms = std::vector<Matrix>;

// z += x y
void add_product(std::int64_t n, const Terms& x, const Terms& y, Terms& z) {
  const auto add = [n](const Matrix& a, const Matrix& b, Matrix& to) {
    kernels::gemm(false, false, n, n, n, a.data(), b.data(), 1.0, to.data());
  };
  add(x[0], y[0], z[0]);
  if (x.size() == 1) return;
  add(x[1], y[0], z[1]);
  add(x[0], y[1], z[1]);
}

Terms times(std::int64_t n, const Terms& x, const Terms& y) {
  Terms z(x.size(), Matrix(x[0].size()));
  add_product(n, x, y, z);
  return z;
}

// a6 (c3 a6 + c2 a4 + c1 a2) + d3 a6 + d2 a4 + d1 a2 + d0: half of a polynomial of degree 13.
Terms half(std::int64_t n, const Terms& a2, const Terms& a4, const Terms& a6, const double (&c)[3],
           const double (&d)[4]) {
  Terms inner(a2.size(), Matrix(a2[0].size())), out = inner;
  for (std::size_t k = 0; k < a2.size(); ++k)
    for (std::size_t i = 0; i < a2[k].size(); ++i) {
      inner[k][i] = c[2] * a6[k][i] + c[1] * a4[k][i] + c[0] * a2[k][i];
      out[k][i] = d[3] * a6[k][i] + d[2] * a4[k][i] + d[1] * a2[k][i];
    }
  for (std::int64_t i = 0; i < n; ++i) out[0][static_cast<std::size_t>(i * n + i)] += d[0];
  add_product(n, a6, inner, out);
  return out;
}

// (even - odd)⁻¹ (even + odd)
Terms quotient(std::int64_t n, const Terms& even, const Terms& odd) {
  Terms above = even, below = even;
  for (std::size_t k = 0; k < even.size(); ++k)
    for (std::size_t i = 0; i < even[k].size(); ++i) {
      above[k][i] += odd[k][i];
      below[k][i] -= odd[k][i];
    }
  std::vector<int> pivots(static_cast<std::size_t>(n));
  kernels::lu(n, below[0].data(), pivots.data());
  kernels::lu_solve(false, n, n, below[0].data(), pivots.data(), above[0].data());
  if (above.size() == 1) return above;
  for (double& v : below[1]) v = -v;
  kernels::gemm(false, false, n, n, n, below[1].data(), above[0].data(), 1.0, above[1].data());
  kernels::lu_solve(false, n, n, below[0].data(), pivots.data(), above[1].data());
  return above;
}

// Higham, The scaling and squaring method for the matrix exponential revisited (2005).
void exponential(std::int64_t n, Terms& a) {
  const double theta = a.size() == 1 ? 5.371920351148152 : 4.74;
  const double norm = norm1(n, a[0]);
  if (!std::isfinite(norm)) {
    for (Matrix& m : a) std::fill(m.begin(), m.end(), std::numeric_limits<double>::quiet_NaN());
    return;
  }
  const int squarings = norm > theta ? static_cast<int>(std::ceil(std::log2(norm / theta))) : 0;
  for (Matrix& m : a)
    for (double& v : m) v = std::ldexp(v, -squarings);
  const Terms a2 = times(n, a, a), a4 = times(n, a2, a2), a6 = times(n, a4, a2);
  const Terms odd =
      times(n, a,
            half(n, a2, a4, a6, {40840800, 16380, 1},
                 {32382376266240000.0, 1187353796428800, 10559470521600, 33522128640}));
  const Terms even = half(n, a2, a4, a6, {1323241920, 960960, 182},
                          {64764752532480000.0, 7771770303897600, 129060195264000, 670442572800});
  a = quotient(n, even, odd);
  for (int i = 0; i < squarings; ++i) a = times(n, a, a);
}

// The exponential of in[0], or the tangent of it along in[1].
void exponentials(const Inputs& in, Tensor& out) {
  const std::int64_t n = out.size(-1), each = n * n;
  Terms a(in.size(), Matrix(static_cast<std::size_t>(each)));
  dispatch_floating("matrix_exp", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t at = 0; at < out.numel(); at += each) {
      for (std::size_t k = 0; k < in.size(); ++k)
        std::copy_n(in[k].data<T>() + at, each, a[k].begin());
      exponential(n, a);
      std::transform(a.back().begin(), a.back().end(), static_cast<T*>(out.raw_mutable()) + at,
                     [](double v) { return static_cast<T>(v); });
    }
  });
}

struct MatrixExpTangent {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "matrix_exp_tangent"; }
  void forward(const Inputs& in, Tensor& out) const { exponentials(in, out); }
  TensorList batch(const internal::Batch& in) const {
    return in.call(*this, {in.whole(0), in.whole(1)});
  }
};

struct MatrixExp {
  std::string_view name() const { return "matrix_exp"; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_square("matrix_exp", in[0]);
    return {in[0].shape(), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const { exponentials(in, out); }
  unsigned saves() const { return save_input(0); }
  // The upper right block of exp([A, T; 0, A]) is the derivative of exp at A along T (Mathias 1996).
  static Tensor along(const Tensor& a, const Tensor& t) {
    const std::int64_t n = a.size(-1);
    const Tensor top = concat({a, t}, -1), bottom = concat({zeros_like(a), a}, -1);
    const Tensor whole = apply(MatrixExp{}, concat({top, bottom}, -2));
    return narrow(narrow(whole, -2, 0, n), -1, n, n);
  }
  // At Aᵀ that is the transpose of the derivative at A.
  TensorList backward(const Call& call) const {
    const Tensor a = transpose(call.input(0)), &g = call.grad();
    return {grad_enabled() ? along(a, g) : tangent(a, g)};
  }
  TensorList jvp(const Call& call) const {
    const Tensor a = call.input(0), &t = call.tangent(0);
    return {grad_enabled() ? along(a, t) : tangent(a, t)};
  }
  static Tensor tangent(const Tensor& a, const Tensor& t) {
    Tensor out = empty(a.shape(), a.dtype());
    compute_into(out, MatrixExpTangent{}, a, t);
    return out;
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

}  // namespace

Tensor matrix_exp(const Tensor& a) { return apply(MatrixExp{}, a); }

}  // namespace autograd
