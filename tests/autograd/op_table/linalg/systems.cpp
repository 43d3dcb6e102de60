#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

using Matrix = std::vector<std::vector<double>>;

Tensor uniform(const Shape& s) { return draw(s, -1, 1); }

// Invertible and well conditioned: noise around 2 I.
Tensor regular(const Shape& s) {
  Tensor t = draw(s, -0.5, 0.5);
  const std::int64_t n = s.back();
  for (std::int64_t i = 0; i < t.numel(); ++i)
    if (i / n % n == i % n) t.mutable_data<double>()[i] += 2;
  return t;
}

// The matrices of a tensor, one after the other.
std::vector<Matrix> matrices(const Tensor& t) {
  const std::int64_t m = t.size(-2), n = t.size(-1);
  const auto v = t.to_vector<double>();
  std::vector<Matrix> out;
  for (std::int64_t at = 0; at < t.numel(); at += m * n) {
    Matrix a(static_cast<std::size_t>(m));
    for (std::int64_t i = 0; i < m; ++i)
      a[static_cast<std::size_t>(i)].assign(v.begin() + at + i * n, v.begin() + at + (i + 1) * n);
    out.push_back(a);
  }
  return out;
}

// Gauss and Jordan with pivots: a⁻¹ b.
Matrix eliminate(Matrix a, Matrix b) {
  const std::size_t n = a.size();
  for (std::size_t c = 0; c < n; ++c) {
    std::size_t p = c;
    for (std::size_t r = c; r < n; ++r)
      if (std::abs(a[r][c]) > std::abs(a[p][c])) p = r;
    std::swap(a[c], a[p]), std::swap(b[c], b[p]);
    for (std::size_t r = 0; r < n; ++r) {
      if (r == c) continue;
      const double f = a[r][c] / a[c][c];
      for (std::size_t k = 0; k < n; ++k) a[r][k] -= f * a[c][k];
      for (std::size_t k = 0; k < b[r].size(); ++k) b[r][k] -= f * b[c][k];
    }
    for (double& v : b[c]) v /= a[c][c];
    for (std::size_t k = n; k-- > 0;) a[c][k] /= a[c][c];
  }
  return b;
}

Matrix identity(std::size_t n) {
  Matrix a(n, std::vector<double>(n));
  for (std::size_t i = 0; i < n; ++i) a[i][i] = 1;
  return a;
}

void append(std::vector<double>& out, const Matrix& a) {
  for (const auto& row : a) out.insert(out.end(), row.begin(), row.end());
}

// det by expansion along the first row.
double expanded_det(const Matrix& a) {
  if (a.empty()) return 1;
  double total = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    Matrix minor;
    for (std::size_t r = 1; r < a.size(); ++r) {
      minor.push_back(a[r]);
      minor.back().erase(minor.back().begin() + static_cast<std::ptrdiff_t>(j));
    }
    total += (j % 2 ? -1 : 1) * a[0][j] * expanded_det(minor);
  }
  return total;
}

const std::vector<Shape>& square_shapes() {
  static const std::vector<Shape> shapes{{1, 1}, {3, 3},    {2, 3, 3}, {2, 1, 2, 2},
                                         {0, 0}, {2, 0, 0}, {0, 2, 2}, {5, 5}};
  return shapes;
}

// Three matrices, of which the last is singular.
Tensor last_singular() {
  return ag::concat({ag::expand(ag::tensor({{1.0, 2.0}, {3.0, 4.0}}), {2, 2, 2}),
                     ag::ones({1, 2, 2}, ag::float64)});
}

void add_solve(std::vector<Row>& rows) {
  Row row{"solve", {}};
  const std::vector<std::pair<Shape, Shape>> cases{
      {{3, 3}, {3, 2}},    {{3, 3}, {3}},       {{2, 3, 3}, {2, 3, 2}},    {{2, 2, 2}, {2, 2}},
      {{2, 2, 2}, {2, 1}}, {{3, 3}, {2, 3, 1}}, {{2, 1, 2, 2}, {3, 2, 1}}, {{0, 0}, {0, 2}},
      {{0, 0}, {0}},       {{2, 2}, {2, 0}},    {{0, 2, 2}, {0, 2, 1}},    {{1, 1}, {1}}};
  for (const auto& [s, t] : cases) {
    row.samples.push_back({fmt::format("{}, {}", s, t), {regular(s), regular(t)}, [](auto& x) {
                             return ag::solve(x[0], x[1]);
                           }});
    if (s.size() == 2 && t.size() == 2)
      row.samples.back().naive = [](const TensorList& x) {
        std::vector<double> out;
        if (x[1].numel()) append(out, eliminate(matrices(x[0])[0], matrices(x[1])[0]));
        return out;
      };
  }
  matrix_mistakes(
      row, [](const Tensor& a) { return ag::solve(a, ag::ones({2})); }, true);
  row.mistakes.push_back({[] {
                            return ag::solve(ag::ones({2, 2}), ag::ones({2}));
                          },
                          "solve: the matrix must be invertible, got a singular one"});
  row.mistakes.push_back(
      {[] { return ag::solve(last_singular(), ag::ones({2}, ag::float64)); },
       "solve: the matrix must be invertible, got a singular one at batch (2,)"});
  row.mistakes.push_back(
      {[] {
         return ag::solve(ag::ones({2, 2}), ag::ones({3, 2}));
       },
       "B must be (…, n) or (…, n, k) for A (…, n, n), got A (2, 2) and B (3, 2)"});
  row.mistakes.push_back({[] {
                            return ag::solve(ag::ones({2, 2}), ag::ones({}));
                          },
                          "got A (2, 2) and B ()"});
  row.mistakes.push_back({[] {
                            return ag::solve(ag::ones({2, 2, 2}), ag::ones({3, 2, 1}));
                          },
                          "solve: "});
  rows.push_back(row);
}

void add_inv(std::vector<Row>& rows) {
  Row row{"inv", {}};
  for (const Shape& s : square_shapes())
    row.samples.push_back({s.str(),
                           {regular(s)},
                           [](auto& x) { return ag::inv(x[0]); },
                           [](auto& x) {
                             std::vector<double> out;
                             if (x[0].numel())
                               for (const Matrix& a : matrices(x[0]))
                                 append(out, eliminate(a, identity(a.size())));
                             return out;
                           }});
  matrix_mistakes(row, ag::inv, true);
  row.mistakes.push_back({[] { return ag::inv(last_singular()); },
                          "inv: the matrix must be invertible, got a singular one at batch (2,)"});
  rows.push_back(row);
}

void add_det(std::vector<Row>& rows) {
  Row det{"det", {}}, slogdet{"slogdet", {}};
  for (const Shape& s : square_shapes()) {
    det.samples.push_back({s.str(), {regular(s)}, [](auto& x) { return ag::det(x[0]); }});
    if (s.numel())
      det.samples.back().naive = [](auto& x) {
        std::vector<double> out;
        for (const Matrix& a : matrices(x[0])) out.push_back(expanded_det(a));
        return out;
      };
    slogdet.samples.push_back({s.str(), {draw(s, -1, 1)}, [](auto& x) {
                                 const auto [sign, logabs] = ag::slogdet(x[0]);
                                 return sign * ag::exp(0.5 * logabs);
                               }});
    if (s.numel())
      slogdet.samples.back().naive = [](auto& x) {
        std::vector<double> out;
        for (const Matrix& a : matrices(x[0])) {
          const double d = expanded_det(a);
          out.push_back(std::copysign(std::sqrt(std::abs(d)), d));
        }
        return out;
      };
  }
  // Singular matrices of rank n - 1, n - 2 and 0, alone and in a batch with a regular one.
  const Tensor rank2 = ag::tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}, {5.0, 7.0, 9.0}});
  const Tensor rank1 = ag::tensor({{1.0, -2.0, 0.5}, {2.0, -4.0, 1.0}, {-1.0, 2.0, -0.5}});
  const Tensor rank0 = ag::zeros({3, 3}, ag::float64);
  const auto call = [](const TensorList& x) { return ag::det(x[0]); };
  det.samples.push_back({"rank 2", {rank2}, call});
  det.samples.push_back({"rank 1", {rank1}, call});
  det.samples.push_back({"rank 0", {rank0}, call});
  det.samples.push_back({"mixed", {ag::stack({rank1, regular({3, 3}), rank2, rank0})}, call});
  det.samples.push_back({"a zero", {ag::zeros({1, 1}, ag::float64)}, call});
  matrix_mistakes(det, ag::det, true);
  matrix_mistakes(
      slogdet, [](const Tensor& a) { return ag::slogdet(a).sign; }, true);
  slogdet.mistakes.push_back(
      {[] {
         const Tensor a = last_singular().requires_grad_();
         return ag::grad({ag::sum(ag::slogdet(a).logabsdet)}, {a})[0];
       },
       "slogdet: the matrix must be invertible, got a singular one at batch (2,)"});
  det.third =
      "differences cross the border between two formulas of the gradient; at singular matrices "
      "linalg_test.cpp takes third derivatives";
  rows.push_back(det);
  rows.push_back(slogdet);
}

void add_triangular(std::vector<Row>& rows) {
  Row row{"solve_triangular", {}}, chol{"cholesky_solve", {}};
  const std::vector<std::pair<Shape, Shape>> cases{{{3, 3}, {3, 2}},    {{2, 3, 3}, {3, 2}},
                                                   {{2, 2}, {2, 2, 1}}, {{0, 0}, {0, 2}},
                                                   {{0, 2, 2}, {2, 2}}, {{1, 1}, {1, 1}}};
  for (const auto& [s, t] : cases) {
    for (const bool upper : {false, true}) {
      for (const bool left : {false, true})
        for (const bool unit : {false, true}) {
          const Tensor a = regular(s);
          Tensor b = uniform(t);
          if (!left) b = ag::transpose(b);
          row.samples.push_back(
              {fmt::format("{}, {}, upper {}, left {}, unit {}", s, b.shape(), upper, left, unit),
               {a, b},
               [=](auto& x) { return ag::solve_triangular(x[0], x[1], upper, left, unit); }});
          if (s == Shape(3, 3) && left)
            row.samples.back().naive = [upper, unit](const TensorList& x) {
              Matrix m = matrices(x[0])[0];
              for (std::size_t i = 0; i < 3; ++i)
                for (std::size_t j = 0; j < 3; ++j)
                  m[i][j] = i == j ? (unit ? 1 : m[i][j]) : ((j > i) == upper ? m[i][j] : 0);
              std::vector<double> out;
              append(out, eliminate(m, matrices(x[1])[0]));
              return out;
            };
        }
      chol.samples.push_back({fmt::format("{}, {}, upper {}", t, s, upper),
                              {uniform(t), regular(s)},
                              [=](auto& x) { return ag::cholesky_solve(x[0], x[1], upper); }});
      if (s == Shape(3, 3))
        chol.samples.back().naive = [upper](const TensorList& x) {
          const Matrix f = matrices(x[1])[0];
          const auto at = [&](std::size_t i, std::size_t j) {
            return (upper ? i <= j : i >= j) ? f[i][j] : 0;
          };
          Matrix a(3, std::vector<double>(3));
          for (std::size_t i = 0; i < 3; ++i)
            for (std::size_t j = 0; j < 3; ++j)
              for (std::size_t k = 0; k < 3; ++k)
                a[i][j] += upper ? at(k, i) * at(k, j) : at(i, k) * at(j, k);
          std::vector<double> out;
          append(out, eliminate(a, matrices(x[0])[0]));
          return out;
        };
    }
  }
  matrix_mistakes(
      row,
      [](const Tensor& a) {
        return ag::solve_triangular(a, ag::ones({2, 2}), false);
      },
      true);
  row.mistakes.push_back(
      {[] {
         return ag::solve_triangular(ag::ones({2, 2}), ag::ones({3, 2}), false);
       },
       "solve_triangular: the sizes of A and B must agree, got (2, 2) and (3, 2)"});
  row.mistakes.push_back(
      {[] {
         return ag::solve_triangular(ag::zeros({3, 2, 2}), ag::ones({2, 2}), false);
       },
       "solve_triangular: the matrix must be invertible, got 0 on its diagonal at batch (0,)"});
  row.mistakes.push_back({[] {
                            return ag::solve_triangular(ag::ones({2, 2}), ag::ones({2}), false);
                          },
                          "needs matrices (…, m, n), got shape (2,)"});
  chol.mistakes.push_back(
      {[] {
         return ag::cholesky_solve(ag::ones({3, 2}), ag::ones({2, 2}));
       },
       "cholesky_solve: the sizes of A and B must agree, got (2, 2) and (3, 2)"});
  chol.mistakes.push_back({[] {
                             return ag::cholesky_solve(ag::ones({2, 1}), ag::zeros({2, 2}));
                           },
                           "cholesky_solve: the matrix must be invertible"});
  rows.push_back(row);
  rows.push_back(chol);
}

// exp(A) by its series.
Matrix series_exp(const Matrix& a) {
  Matrix total = identity(a.size()), term = total;
  for (int k = 1; k < 60; ++k) {
    Matrix next(a.size(), std::vector<double>(a.size()));
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; j < a.size(); ++j) {
        for (std::size_t l = 0; l < a.size(); ++l) next[i][j] += term[i][l] * a[l][j] / k;
        total[i][j] += next[i][j];
      }
    term = next;
  }
  return total;
}

void add_functions(std::vector<Row>& rows) {
  Row exponential{"matrix_exp", {}}, power{"matrix_power", {}};
  for (const Shape& s : square_shapes()) {
    exponential.samples.push_back({s.str(),
                                   {uniform(s)},
                                   [](auto& x) { return ag::matrix_exp(x[0]); },
                                   [](auto& x) {
                                     std::vector<double> out;
                                     if (x[0].numel())
                                       for (const Matrix& a : matrices(x[0]))
                                         append(out, series_exp(a));
                                     return out;
                                   }});
    for (const std::int64_t n : {0, 1, 2, 5, -1, -2})
      power.samples.push_back({fmt::format("{}, {}", s, n), {regular(s)}, [n](auto& x) {
                                 return ag::matrix_power(x[0], n);
                               }});
  }
  power.samples.push_back(
      {"naive cube",
       {uniform({3, 3})},
       [](auto& x) { return ag::matrix_power(x[0], 3); },
       [](auto& x) {
         return ag::matmul(ag::matmul(x[0], x[0]), x[0]).template to_vector<double>();
       }});
  exponential.samples.push_back(
      {"large", {draw({2, 2}, -8, 4)}, [](auto& x) { return ag::sigmoid(ag::matrix_exp(x[0])); }});
  matrix_mistakes(exponential, ag::matrix_exp, true);
  matrix_mistakes(
      power, [](const Tensor& a) { return ag::matrix_power(a, 2); }, true);
  power.mistakes.push_back({[] {
                              return ag::matrix_power(ag::ones({2, 2}), -1);
                            },
                            "matrix_power: the matrix must be invertible, got a singular one"});
  rows.push_back(exponential);
  rows.push_back(power);
}

}  // namespace

void add_systems(std::vector<Row>& rows) {
  add_solve(rows);
  add_inv(rows);
  add_det(rows);
  add_triangular(rows);
  add_functions(rows);
}

const Family systems_rows(add_systems);

}  // namespace table
