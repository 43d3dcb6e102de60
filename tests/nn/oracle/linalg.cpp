#include <limits>

#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
constexpr double kInf = std::numeric_limits<double>::infinity();

TensorList outputs(const ag::SlogdetResult& r) { return {r.sign, r.logabsdet}; }
TensorList outputs(const ag::QrResult& r) { return {r.Q, r.R}; }

// Free of the signs of the vectors.
TensorList svd(T a) {
  const auto [u, s, vh] = ag::svd(a);
  const ag::Tensor scaled = u * ag::exp(ag::unsqueeze(s, -2));
  return {ag::square(u), s, ag::square(vh), ag::matmul(scaled, vh)};
}
TensorList eigh(T a) {
  const auto [values, vectors] = ag::eigh((a + ag::transpose(a)) / 2);
  const ag::Tensor scaled = vectors * ag::exp(ag::unsqueeze(values, -2));
  return {values, ag::square(vectors), ag::matmul(scaled, ag::transpose(vectors))};
}

}  // namespace

namespace oracle {

// Products and linear algebra.
void add_linalg(std::vector<Row>& rows) {
  const std::vector<Row> table{
      {"matmul", ag::matmul},
      {"linear", [](T x, T w, T b) { return ag::linear(x, w, b); }},
      {"linear without bias", [](T x, T w) { return ag::linear(x, w); }},
      {"dot", [](T a, T b) { return ag::dot(a, b); }},
      {"vdot", [](T a, T b) { return ag::vdot(a, b); }},
      {"inner", [](T a, T b) { return ag::inner(a, b); }},
      {"outer", [](T a, T b) { return ag::outer(a, b); }},
      {"kron", [](T a, T b) { return ag::kron(a, b); }},
      {"solve", [](T a, T b) { return ag::solve(a, b); }},
      {"cross", [](T a, T b) { return ag::cross(a, b); }},
      {"tensordot", [](T a, T b) { return ag::tensordot(a, b); }},
      {"lstsq", [](T a, T b) { return ag::lstsq(a, b); }},
      {"cholesky_solve", [](T a, T b) { return ag::cholesky_solve(a, b); }},
      {"trace", [](T a) { return ag::trace(a); }},
      {"inv", [](T a) { return ag::inv(a); }},
      {"det", [](T a) { return ag::det(a); }},
      {"svdvals", [](T a) { return ag::svdvals(a); }},
      {"pinv", [](T a) { return ag::pinv(a); }},
      {"matrix_exp", [](T a) { return ag::matrix_exp(a); }},
      {"cond", [](T a) { return ag::cond(a); }},
      {"matrix_rank", [](T a) { return ag::matrix_rank(a); }},
      {"cholesky", [](T a) { return ag::cholesky(a); }},
      {"matrix_norm", [](T a) { return ag::matrix_norm(a); }},
      {"cross axis=0", [](T a, T b) { return ag::cross(a, b, 0); }},
      {"multi_dot", [](const TensorList& x) { return ag::multi_dot(x); }},
      {"tensordot axes",
       [](T a, T b) {
         return ag::tensordot(a, b, {0, 2}, {1, 0});
       }},
      {"einsum ij,jk->ik", [](const TensorList& x) { return ag::einsum("ij,jk->ik", x); }},
      {"einsum ij,jk", [](const TensorList& x) { return ag::einsum("ij,jk", x); }},
      {"einsum bij,bjk->bik", [](const TensorList& x) { return ag::einsum("bij,bjk->bik", x); }},
      {"einsum ii->i", [](const TensorList& x) { return ag::einsum("ii->i", x); }},
      {"einsum ii", [](const TensorList& x) { return ag::einsum("ii", x); }},
      {"einsum ij->ji", [](const TensorList& x) { return ag::einsum("ij->ji", x); }},
      {"einsum ij->", [](const TensorList& x) { return ag::einsum("ij->", x); }},
      {"einsum i,j->ij", [](const TensorList& x) { return ag::einsum("i,j->ij", x); }},
      {"einsum ...ij,...jk->...ik",
       [](const TensorList& x) { return ag::einsum("...ij,...jk->...ik", x); }},
      {"einsum bn,anm,bm->ba", [](const TensorList& x) { return ag::einsum("bn,anm,bm->ba", x); }},
      {"einsum ij,ij->i", [](const TensorList& x) { return ag::einsum("ij,ij->i", x); }},
      {"einsum ij,kl->jl", [](const TensorList& x) { return ag::einsum("ij,kl->jl", x); }},
      {"slogdet", [](T a) { return outputs(ag::slogdet(a)); }},
      {"solve_triangular", [](T a, T b) { return ag::solve_triangular(a, b, false); }},
      {"solve_triangular upper", [](T a, T b) { return ag::solve_triangular(a, b, true); }},
      {"solve_triangular right unitriangular",
       [](T a, T b) { return ag::solve_triangular(a, b, false, false, true); }},
      {"cholesky upper", [](T a) { return ag::cholesky(a, true); }},
      {"qr", [](T a) { return outputs(ag::qr(a)); }},
      {"qr wide", [](T a) { return outputs(ag::qr(a)); }},
      {"svd", svd},
      {"eigh", eigh},
      {"eigvalsh", [](T a) { return ag::eigvalsh((a + ag::transpose(a)) / 2); }},
      {"matrix_power n=-2", [](T a) { return ag::matrix_power(a, -2); }},
      {"matrix_power n=0", [](T a) { return ag::matrix_power(a, 0); }},
      {"matrix_power n=1", [](T a) { return ag::matrix_power(a, 1); }},
      {"matrix_power n=3", [](T a) { return ag::matrix_power(a, 3); }},
      {"matrix_norm ord=1", [](T a) { return ag::matrix_norm(a, 1.0); }},
      {"matrix_norm ord=-1", [](T a) { return ag::matrix_norm(a, -1.0); }},
      {"matrix_norm ord=2", [](T a) { return ag::matrix_norm(a, 2.0); }},
      {"matrix_norm ord=-2", [](T a) { return ag::matrix_norm(a, -2.0); }},
      {"matrix_norm ord=inf", [](T a) { return ag::matrix_norm(a, kInf); }},
      {"matrix_norm ord=-inf", [](T a) { return ag::matrix_norm(a, -kInf); }},
      {"matrix_norm ord=nuc", [](T a) { return ag::matrix_norm(a, "nuc"); }},
      {"matrix_norm keepdims", [](T a) { return ag::matrix_norm(a, "fro", true); }},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases linalg_cases(add_linalg);

}  // namespace oracle
