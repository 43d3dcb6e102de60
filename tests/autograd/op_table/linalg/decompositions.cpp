#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

Tensor uniform(const Shape& s) { return draw(s, -1, 1); }

Tensor identity(std::int64_t n, ag::DType dtype) { return ag::eye(n, dtype); }

// Symmetric, with eigenvalues well apart and positive: what a decomposition of x is tested on, as
// its gradient is that of a symmetric matrix.
Tensor spread(const Tensor& x) {
  const std::int64_t n = x.size(-1);
  const Tensor steps = (ag::arange(n) + 2.0).to(x.dtype());
  return 0.3 * (x + ag::transpose(x)) + identity(n, x.dtype()) * steps;
}

// All elements of some results in a row for each batch, to check them together.
Tensor joined(const TensorList& parts) {
  TensorList flat;
  for (const Tensor& p : parts) flat.push_back(ag::reshape(p, {p.numel()}));
  return ag::concat(flat);
}

// U diag(1, 2, …) V, which does not depend on the signs of the columns of U with the rows of V.
Tensor weighted(const Tensor& u, const Tensor& v) {
  const Tensor w = (ag::arange(u.size(-1)) + 1.0).to(u.dtype());
  return ag::matmul(u * w, v);
}

const std::vector<Shape>& square_shapes() {
  static const std::vector<Shape> shapes{{1, 1}, {3, 3},    {2, 3, 3}, {2, 1, 2, 2},
                                         {0, 0}, {2, 0, 0}, {0, 2, 2}};
  return shapes;
}

const std::vector<Shape>& all_shapes() {
  static const std::vector<Shape> shapes{{1, 1}, {3, 3}, {4, 2}, {2, 4},    {2, 3, 2}, {2, 2, 3},
                                         {0, 0}, {0, 3}, {3, 0}, {2, 0, 2}, {0, 2, 2}};
  return shapes;
}

// A full-rank matrix with singular values well apart, the same function of x at every size.
Tensor regular(const Tensor& x) {
  const std::int64_t m = x.size(-2), n = x.size(-1);
  const Tensor steps = ag::arange(n, x.dtype()) + 1.5;
  return 0.4 * x + ag::eye(m, n, x.dtype()) * steps;
}

void not_finite(Row& row, std::function<Tensor(const Tensor&)> f) {
  row.mistakes.push_back({[f] {
                            return f(ag::concat({ag::ones({1, 2, 2}), ag::full({1, 2, 2}, NAN)}));
                          },
                          row.name + ": the matrix must be finite, got nan at batch (1,)"});
  row.mistakes.push_back({[f] {
                            return f(ag::full({2, 2}, INFINITY));
                          },
                          row.name + ": the matrix must be finite, got inf"});
}

std::vector<double> naive_cholesky(const Tensor& a) {
  const auto v = a.to_vector<double>();
  const auto n = static_cast<std::size_t>(a.size(-1));
  std::vector<double> all(v.size());
  for (std::size_t at = 0; at < v.size(); at += n * n) {
    double* l = all.data() + at;
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = j; i < n; ++i) {
        double s = v[at + i * n + j];
        for (std::size_t k = 0; k < j; ++k) s -= l[i * n + k] * l[j * n + k];
        l[i * n + j] = i == j ? std::sqrt(s) : s / l[j * n + j];
      }
  }
  return all;
}

void add_cholesky(std::vector<Row>& rows) {
  Row row{"cholesky", {}};
  for (const Shape& s : square_shapes()) {
    row.samples.push_back({s.str(),
                           {uniform(s)},
                           [](auto& x) { return ag::cholesky(spread(x[0])); },
                           [](auto& x) { return naive_cholesky(spread(x[0])); }});
    row.samples.push_back({s.str() + ", upper", {uniform(s)}, [](auto& x) {
                             return ag::cholesky(spread(x[0]), true);
                           }});
  }
  const auto call = [](const Tensor& a) { return ag::cholesky(a); };
  matrix_mistakes(row, call, true);
  row.mistakes.push_back(
      {[] {
         return ag::cholesky(
             ag::concat({ag::expand(identity(2, ag::float32), {2, 2, 2}), ag::ones({1, 2, 2})}));
       },
       "cholesky: the matrix must be positive definite, got one whose leading minor of order 2 is "
       "not positive at batch (2,)"});
  row.mistakes.push_back({[] {
                            return ag::cholesky(ag::full({2, 2}, NAN));
                          },
                          "leading minor of order 1 is not positive"});
  rows.push_back(row);
}

void add_qr(std::vector<Row>& rows) {
  Row row{"qr", {}};
  for (const Shape& s : all_shapes()) {
    row.samples.push_back({s.str(), {uniform(s)}, [](auto& x) {
                             const auto [q, r] = ag::qr(regular(x[0]));
                             return joined({q, r});
                           }});
    row.samples.push_back({s.str() + ", complete", {uniform(s)}, [](auto& x) {
                             const auto [q, r] = ag::qr(regular(x[0]), "complete");
                             return x[0].size(-2) > x[0].size(-1) ? r : joined({q, r});
                           }});
  }
  matrix_mistakes(
      row, [](const Tensor& a) { return ag::qr(a).Q; }, false);
  row.mistakes.push_back({[] {
                            return ag::qr(ag::ones({2, 2}), "r").R;
                          },
                          "qr: the mode must be \"reduced\" or \"complete\", got \"r\""});
  row.mistakes.push_back(
      {[] {
         const Tensor a = ag::ones({3, 2}).requires_grad_();
         return ag::grad({ag::sum(ag::qr(a, "complete").Q)}, {a})[0];
       },
       "qr: the columns that complete Q have no gradient, got one for shape (3, 2)"});
  row.mistakes.push_back({[] {
                            const Tensor a = ag::zeros({2, 2}).requires_grad_();
                            return ag::grad({ag::sum(ag::qr(a).R)}, {a})[0];
                          },
                          "qr: the matrix must be invertible, got 0 on its diagonal"});
  rows.push_back(row);
}

void add_svd(std::vector<Row>& rows) {
  Row svd{"svd", {}}, values{"svdvals", {}};
  for (const Shape& s : all_shapes()) {
    svd.samples.push_back({s.str(), {uniform(s)}, [](auto& x) {
                             const auto [u, sigma, vh] = ag::svd(regular(x[0]));
                             return joined({sigma, weighted(u, vh)});
                           }});
    svd.samples.push_back({s.str() + ", U alone", {uniform(s)}, [](auto& x) {
                             const Tensor u = ag::svd(regular(x[0])).U;
                             return weighted(u, ag::transpose(u));
                           }});
    svd.samples.push_back({s.str() + ", Vh alone", {uniform(s)}, [](auto& x) {
                             const Tensor vh = ag::svd(regular(x[0])).Vh;
                             return weighted(ag::transpose(vh), vh);
                           }});
    svd.samples.push_back({s.str() + ", full", {uniform(s)}, [](auto& x) {
                             const auto [u, sigma, vh] = ag::svd(regular(x[0]), true);
                             const std::int64_t m = x[0].size(-2), n = x[0].size(-1);
                             if (m == n) return joined({sigma, weighted(u, vh)});
                             // Of the full factors only the smaller one has a gradient.
                             return m > n ? joined({sigma, weighted(ag::transpose(vh), vh)})
                                          : joined({sigma, weighted(u, ag::transpose(u))});
                           }});
    values.samples.push_back(
        {s.str(), {uniform(s)}, [](auto& x) { return ag::svdvals(regular(x[0])); }});
  }
  const auto call = [](const Tensor& a) { return ag::svd(a).S; };
  matrix_mistakes(svd, call, false);
  matrix_mistakes(values, ag::svdvals, false);
  not_finite(svd, call);
  not_finite(values, ag::svdvals);
  svd.mistakes.push_back(
      {[] {
         const Tensor a = ag::ones({3, 2}).requires_grad_();
         return ag::grad({ag::sum(ag::svd(a, true).U)}, {a})[0];
       },
       "svd: the columns that complete U or V have no gradient, got one for (3, 2)"});
  rows.push_back(svd);
  rows.push_back(values);
}

void add_eigh(std::vector<Row>& rows) {
  Row eigh{"eigh", {}}, values{"eigvalsh", {}};
  for (const Shape& s : square_shapes()) {
    eigh.samples.push_back({s.str(), {uniform(s)}, [](auto& x) {
                              const auto [w, v] = ag::eigh(spread(x[0]));
                              return joined({w, weighted(v, ag::transpose(v))});
                            }});
    eigh.samples.push_back({s.str() + ", vectors alone", {uniform(s)}, [](auto& x) {
                              const Tensor v = ag::eigh(spread(x[0])).eigenvectors;
                              return weighted(v, ag::transpose(v));
                            }});
    values.samples.push_back(
        {s.str(), {uniform(s)}, [](auto& x) { return ag::eigvalsh(spread(x[0])); }});
  }
  const auto call = [](const Tensor& a) { return ag::eigh(a).eigenvalues; };
  matrix_mistakes(eigh, call, true);
  matrix_mistakes(values, ag::eigvalsh, true);
  not_finite(eigh, call);
  not_finite(values, ag::eigvalsh);
  rows.push_back(eigh);
  rows.push_back(values);
}

void add_least_squares(std::vector<Row>& rows) {
  Row pinv{"pinv", {}}, rank{"matrix_rank", {}}, lstsq{"lstsq", {}};
  for (const Shape& s : all_shapes()) {
    pinv.samples.push_back(
        {s.str(), {uniform(s)}, [](auto& x) { return ag::pinv(regular(x[0])); }});
    rank.samples.push_back({s.str(),
                            {uniform(s)},
                            [](auto& x) { return ag::matrix_rank(regular(x[0])).to(ag::float64); },
                            [s = s](auto&) {
                              const std::int64_t batch = s.size() == 3 ? s[0] : 1;
                              return std::vector<double>(
                                  static_cast<std::size_t>(batch),
                                  static_cast<double>(std::min(s.back(), s[s.size() - 2])));
                            }});
    Shape t = s;
    t.back() = 2;
    lstsq.samples.push_back({fmt::format("{}, {}", s, t), {uniform(s), uniform(t)}, [](auto& x) {
                               return ag::lstsq(regular(x[0]), x[1]);
                             }});
    t.pop_back();
    lstsq.samples.push_back({fmt::format("{}, {}", s, t), {uniform(s), uniform(t)}, [](auto& x) {
                               return ag::lstsq(regular(x[0]), x[1]);
                             }});
  }
  // A rank that stays below full however x moves.
  pinv.samples.push_back({"rank 1", {draw({3, 1}, 1, 2), draw({1, 2}, 1, 2)}, [](auto& x) {
                            return ag::pinv(ag::matmul(x[0], x[1]), 1e-4);
                          }});
  lstsq.samples.push_back({"rank 1",
                           {draw({3, 1}, 1, 2), draw({1, 2}, 1, 2), uniform({3})},
                           [](auto& x) { return ag::lstsq(ag::matmul(x[0], x[1]), x[2], 1e-4); }});
  const auto call = [](const Tensor& a) { return ag::pinv(a); };
  const auto rank_call = [](const Tensor& a) { return ag::matrix_rank(a); };
  matrix_mistakes(pinv, call, false);
  not_finite(pinv, call);
  matrix_mistakes(rank, rank_call, false);
  not_finite(rank, rank_call);
  rank.differentiable = false;
  matrix_mistakes(
      lstsq, [](const Tensor& a) { return ag::lstsq(a, ag::ones({2})); }, false);
  lstsq.mistakes.push_back(
      {[] {
         return ag::lstsq(ag::ones({3, 2}), ag::ones({2}));
       },
       "lstsq: B must be (…, m) or (…, m, k) for A (…, m, n), got A (3, 2) and B (2,)"});
  rows.push_back(pinv);
  rows.push_back(rank);
  rows.push_back(lstsq);
}

void add_norms(std::vector<Row>& rows) {
  Row norm{"matrix_norm", {}}, cond{"cond", {}};
  for (const Shape& s : all_shapes()) {
    const bool empty = s.back() == 0 || s[s.size() - 2] == 0;
    for (const std::string ord : {"fro", "nuc"})
      norm.samples.push_back({fmt::format("{}, {}", s, ord), {uniform(s)}, [ord](auto& x) {
                                return ag::matrix_norm(regular(x[0]), ord, ord == "nuc");
                              }});
    if (empty) continue;
    for (const double ord : {1., -1., 2., -2., HUGE_VAL, -HUGE_VAL})
      norm.samples.push_back({fmt::format("{}, {}", s, ord), {uniform(s)}, [ord](auto& x) {
                                return ag::matrix_norm(regular(x[0]), ord, ord > 1);
                              }});
    cond.samples.push_back(
        {s.str(), {uniform(s)}, [](auto& x) { return ag::cond(regular(x[0])); }});
  }
  const Tensor a = ag::tensor({{1.0, -2.0, 3.0}, {-4.0, 5.0, 0.5}});
  const auto known = [&](const std::string& text, std::function<Tensor(const Tensor&)> f,
                         double value) {
    norm.samples.push_back(one(text, a, std::move(f)));
    norm.samples.back().naive = [value](auto&) { return std::vector<double>{value}; };
  };
  known(
      "fro", [](auto& x) { return ag::matrix_norm(x); }, std::sqrt(1 + 4 + 9 + 16 + 25 + 0.25));
  known(
      "1", [](auto& x) { return ag::matrix_norm(x, 1); }, 7);
  known(
      "-1", [](auto& x) { return ag::matrix_norm(x, -1); }, 3.5);
  known(
      "inf", [](auto& x) { return ag::matrix_norm(x, INFINITY); }, 9.5);
  known(
      "-inf", [](auto& x) { return ag::matrix_norm(x, -INFINITY); }, 6);
  matrix_mistakes(
      norm, [](const Tensor& x) { return ag::matrix_norm(x); }, false);
  norm.mistakes.push_back({[] {
                             return ag::matrix_norm(ag::ones({2, 2}), "foo");
                           },
                           "inf or -inf, got \"foo\""});
  norm.mistakes.push_back({[] {
                             return ag::matrix_norm(ag::ones({2, 2}), 3);
                           },
                           "inf or -inf, got 3"});
  norm.mistakes.push_back({[] {
                             return ag::matrix_norm(ag::ones({3, 0}), 1);
                           },
                           "must not be empty for ord 1, got shape (3, 0)"});
  matrix_mistakes(cond, ag::cond, false);
  cond.mistakes.push_back({[] {
                             return ag::cond(ag::ones({0, 3}));
                           },
                           "cond: the matrices must not be empty, got shape (0, 3)"});
  rows.push_back(norm);
  rows.push_back(cond);
}

}  // namespace

void add_decompositions(std::vector<Row>& rows) {
  add_cholesky(rows);
  add_qr(rows);
  add_svd(rows);
  add_eigh(rows);
  add_least_squares(rows);
  add_norms(rows);
}

const Family decompositions_rows(add_decompositions);

}  // namespace table
