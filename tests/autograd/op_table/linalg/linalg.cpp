#include "tests/autograd/op_table/op_table.hpp"

#include <fmt/format.h>

namespace ag = autograd;

namespace table {
namespace {

std::vector<double> naive_matmul(const TensorList& in) {
  const Shape &a = in[0].shape(), &b = in[1].shape();
  const auto m = static_cast<std::size_t>(a[0]), k = static_cast<std::size_t>(a[1]),
             n = static_cast<std::size_t>(b[1]);
  std::vector<double> out(m * n);
  const auto p = in[0].to_vector<double>(), q = in[1].to_vector<double>();
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t l = 0; l < k; ++l) out[i * n + j] += p[i * k + l] * q[l * n + j];
  return out;
}

}  // namespace

void add_linalg(std::vector<Row>& rows) {
  Row matmul{"matmul", {}};
  const std::vector<std::pair<Shape, Shape>> pairs{
      {{2, 3}, {3, 4}},       {{1, 3}, {3, 1}},    {{3}, {3}},
      {{3}, {3, 2}},          {{2, 3}, {3}},       {{2, 2, 3}, {3, 2}},
      {{2, 2, 3}, {2, 3, 2}}, {{2, 3}, {4, 3, 2}}, {{2, 1, 2, 3}, {3, 3, 2}},
      {{2, 0}, {0, 3}},       {{0, 2}, {2, 3}},    {{3}, {2, 3, 2}}};
  for (const auto& [s, t] : pairs) {
    matmul.samples.push_back({s.str() + ", " + t.str(),
                              {draw(s, -1, 1), draw(t, -1, 1)},
                              [](auto& x) { return ag::matmul(x[0], x[1]); }});
    if (s.size() == 2 && t.size() == 2) matmul.samples.back().naive = naive_matmul;
  }
  matmul.mistakes = {
      {[] {
         return ag::matmul(ag::zeros({32, 784}), ag::zeros({128, 10}));
       },
       "matmul: inner sizes must match, got (32, 784) and (128, 10): 784 != 128"},
      {[] { return ag::matmul(ag::zeros({}), ag::zeros({1})); },
       "needs tensors of at least one axis"},
      {[] {
         return ag::matmul(ag::zeros({2, 2}, ag::int64), ag::zeros({2, 2}, ag::int64));
       },
       "needs float32 or float64, got int64"}};
  rows.push_back(matmul);
  rows.push_back(
      {"linear",
       {{"(4, 3), (2, 3), (2)",
         {draw({4, 3}, -1, 1), draw({2, 3}, -1, 1), draw({2}, -1, 1)},
         [](auto& x) { return ag::linear(x[0], x[1], x[2]); }},
        {"(3), (2, 3)",
         {draw({3}, -1, 1), draw({2, 3}, -1, 1)},
         [](auto& x) { return ag::linear(x[0], x[1]); }},
        {"(2, 2, 3), (2, 3), (2)",
         {draw({2, 2, 3}, -1, 1), draw({2, 3}, -1, 1), draw({2}, -1, 1)},
         [](auto& x) { return ag::linear(x[0], x[1], x[2]); }},
        {"(0, 3), (2, 3)",
         {draw({0, 3}, -1, 1), draw({2, 3}, -1, 1)},
         [](auto& x) { return ag::linear(x[0], x[1]); }}},
       {{[] {
           return ag::linear(ag::ones({4, 3}), ag::ones({2, 5}));
         },
         "the last size of x must be the in size of weight (out, in), got (4, 3) and (2, 5)"},
        {[] {
           return ag::linear(ag::ones({4, 3}), ag::ones({2, 3}), ag::ones({3}));
         },
         "bias must be (out), got (3,)"}}});
}

const Family linalg_rows(add_linalg);

}  // namespace table
