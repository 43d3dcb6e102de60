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

// a6 (c3 a6 + c2 a4 + c1 a2) + d3 a6 + d2 a4 + d1 a2 + d0: half of a polynomial of degree 13.
Matrix half(std::int64_t n, const Matrix& a2, const Matrix& a4, const Matrix& a6,
            const double (&c)[3], const double (&d)[4]) {
  Matrix inner(a2.size()), out(a2.size());
  for (std::size_t i = 0; i < a2.size(); ++i) {
    inner[i] = c[2] * a6[i] + c[1] * a4[i] + c[0] * a2[i];
    out[i] = d[3] * a6[i] + d[2] * a4[i] + d[1] * a2[i];
  }
  for (std::int64_t i = 0; i < n; ++i) out[static_cast<std::size_t>(i * n + i)] += d[0];
  kernels::gemm(false, false, n, n, n, a6.data(), inner.data(), 1.0, out.data());
  return out;
}

// Higham, The scaling and squaring method for the matrix exponential revisited (2005).
void exponential(std::int64_t n, Matrix& a) {
  constexpr double theta = 5.371920351148152;
  const double norm = norm1(n, a);
  if (!std::isfinite(norm))
    return std::fill(a.begin(), a.end(), std::numeric_limits<double>::quiet_NaN());
  const int squarings = norm > theta ? static_cast<int>(std::ceil(std::log2(norm / theta))) : 0;
  for (double& v : a) v = std::ldexp(v, -squarings);
  const auto times = [n](const Matrix& x, const Matrix& y) {
    Matrix z(x.size());
    kernels::gemm(false, false, n, n, n, x.data(), y.data(), 0.0, z.data());
    return z;
  };
  const Matrix a2 = times(a, a), a4 = times(a2, a2), a6 = times(a4, a2);
  const Matrix odd =
      times(a, half(n, a2, a4, a6, {40840800, 16380, 1},
                    {32382376266240000.0, 1187353796428800, 10559470521600, 33522128640}));
  const Matrix even = half(n, a2, a4, a6, {1323241920, 960960, 182},
                           {64764752532480000.0, 7771770303897600, 129060195264000, 670442572800});
  Matrix below(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = even[i] + odd[i];
    below[i] = even[i] - odd[i];
  }
  std::vector<int> pivots(static_cast<std::size_t>(n));
  kernels::lu(n, below.data(), pivots.data());
  kernels::lu_solve(false, n, n, below.data(), pivots.data(), a.data());
  for (int i = 0; i < squarings; ++i) a = times(a, a);
}

struct MatrixExp {
  std::string_view name() const { return "matrix_exp"; }
  TensorSpec infer(const Inputs& in) const {
    internal::check_square("matrix_exp", in[0]);
    return {in[0].shape(), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t n = out.size(-1), each = n * n;
    Matrix a(static_cast<std::size_t>(each));
    dispatch_floating("matrix_exp", out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t at = 0; at < out.numel(); at += each) {
        std::copy_n(in[0].data<T>() + at, each, a.begin());
        exponential(n, a);
        std::transform(a.begin(), a.end(), static_cast<T*>(out.raw_mutable()) + at,
                       [](double v) { return static_cast<T>(v); });
      }
    });
  }
  unsigned saves() const { return save_input(0); }
  // The upper right block of exp([Aᵀ, G; 0, Aᵀ]) is the derivative of exp at Aᵀ along G (Mathias
  // 1996), which is the transpose of the derivative at A.
  TensorList backward(const Call& call) const {
    const Tensor a = transpose(call.input(0));
    const Tensor& g = call.grad();
    const std::int64_t n = a.size(-1);
    const Tensor top = concat({a, g}, -1), bottom = concat({zeros_like(a), a}, -1);
    const Tensor whole = apply(MatrixExp{}, concat({top, bottom}, -2));
    return {narrow(narrow(whole, -2, 0, n), -1, n, n)};
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

}  // namespace

Tensor matrix_exp(const Tensor& a) { return apply(MatrixExp{}, a); }

}  // namespace autograd
