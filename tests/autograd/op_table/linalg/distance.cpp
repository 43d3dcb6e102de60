#include "autograd/ops/linalg/distance.hpp"

#include <fmt/format.h>

#include <cmath>

#include "tests/autograd/op_table/op_table.hpp"
#include "tests/autograd/programs/programs.hpp"
#include "tests/oracle/cases.hpp"

namespace ag = autograd;

namespace table {
namespace {

double distance(const std::vector<double>& difference, double p) {
  double sum = 0;
  for (const double d : difference)
    sum = std::isinf(p) ? std::max(sum, std::abs(d))
                        : sum + (p == 0 ? d != 0 : std::pow(std::abs(d), p));
  return std::isinf(p) || p == 0 ? sum : std::pow(sum, 1 / p);
}

void add_cdist(std::vector<Row>& rows) {
  Row row{"cdist", {}};
  for (const double p : {2.0, 1.0, 0.0, 3.0, 1.5, double(INFINITY)})
    row.samples.push_back({fmt::format("(4, 3) and (2, 3), p = {}", p),
                           {draw({4, 3}, -1, 1), draw({2, 3}, -1, 1)},
                           [=](auto& x) { return ag::cdist(x[0], x[1], p); },
                           loop({4, 2}, [=](const Place& at, const TensorList& x) {
                             std::vector<double> d;
                             for (std::int64_t k = 0; k < 3; ++k)
                               d.push_back(element(x[0], {at[0], k}) - element(x[1], {at[1], k}));
                             return distance(d, p);
                           })});
  for (const auto& [a, b] : {std::pair<Shape, Shape>{{2, 1, 3, 2}, {3, 2, 2}},
                             {{0, 3}, {2, 3}},
                             {{2, 1}, {2, 0, 1}},
                             {{3, 17}, {2, 17}}})
    row.samples.push_back({fmt::format("{} and {}", a, b),
                           {draw(a, -1, 1), draw(b, -1, 1)},
                           [](auto& x) { return ag::cdist(x[0], x[1]); }});
  row.mistakes = {{[] {
                     return ag::cdist(ag::ones({2, 3}), ag::ones({2, 4}));
                   },
                   "needs vectors (…, n, d) and (…, m, d), got (2, 3) and (2, 4)"},
                  {[] {
                     return ag::cdist(ag::ones({3}), ag::ones({2, 3}));
                   },
                   "needs vectors (…, n, d) and (…, m, d), got (3,) and (2, 3)"},
                  {[] {
                     return ag::cdist(ag::ones({2, 3}), ag::ones({2, 3}), -1);
                   },
                   "p must be at least 0, got -1"},
                  {[] {
                     return ag::cdist(ag::ones({2, 3}), ag::ones({2, 3}, ag::float64));
                   },
                   "needs two tensors of float32 or of float64, got float32 and float64"}};
  rows.push_back(row);
}

void add_pairwise(std::vector<Row>& rows) {
  Row row{"pairwise_distance", {}};
  for (const double p : {2.0, 1.0, 3.0, double(INFINITY)})
    for (const bool keepdim : {false, true})
      row.samples.push_back(
          {fmt::format("(4, 3) and (3), p = {}, keepdim {}", p, keepdim),
           {draw({4, 3}, -1, 1), draw({3}, -1, 1)},
           [=](auto& x) { return ag::pairwise_distance(x[0], x[1], {.p = p, .keepdim = keepdim}); },
           loop({4}, [=](const Place& at, const TensorList& x) {
             std::vector<double> d;
             for (std::int64_t k = 0; k < 3; ++k)
               d.push_back(element(x[0], {at[0], k}) - element(x[1], {k}) + 1e-6);
             return distance(d, p);
           })});
  row.mistakes = {{[] { return ag::pairwise_distance(ag::ones({}), ag::ones({})); },
                   "needs vectors, got 0-d tensors"},
                  {[] { return ag::pairwise_distance(ag::ones({2}), ag::ones({2}), {.p = -1}); },
                   "p must be at least 0, got -1"}};
  rows.push_back(row);
}

}  // namespace

void add_distances(std::vector<Row>& rows) {
  add_cdist(rows);
  add_pairwise(rows);
}

const Family distances_rows(add_distances);

}  // namespace table

namespace programs {
namespace {

std::vector<Op> distances() {
  return {
      PROGRAM_OP(1, a.ndim() > 1 && above(ag::cdist(a.detach(), ag::sin(a.detach()) + 3), 0.3),
                 ag::cdist(a, ag::sin(a) + 3)),
      PROGRAM_OP(2,
                 has_axes(a) && same_shape(a, b) &&
                     above(ag::pairwise_distance(a.detach(), b.detach()), 0.3),
                 ag::pairwise_distance(a, b)),
  };
}

const Family distances_lines(distances);

}  // namespace
}  // namespace programs

namespace oracle {
namespace {

void add_distances(std::vector<Row>& rows) {
  const auto cdist = [](double p) { return [p](T a, T b) { return ag::cdist(a, b, p); }; };
  const std::vector<Row> table{
      {"pairwise_distance", [](T a, T b) { return ag::pairwise_distance(a, b); }},
      {"pairwise_distance p=3 eps=0.1 keepdim",
       [](T a, T b) {
         return ag::pairwise_distance(a, b, {3, 0.1, true});
       }},
      {"pairwise_distance eps=0 equal",
       [](T a, T b) { return ag::pairwise_distance(a, b, {.eps = 0}); }},
      {"cdist", cdist(2)},
      {"cdist p=0", cdist(0)},
      {"cdist p=1", cdist(1)},
      {"cdist p=1.5", cdist(1.5)},
      {"cdist p=3", cdist(3)},
      {"cdist p=inf", cdist(INFINITY)},
      {"cdist equal", cdist(2)},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases distances_cases(add_distances);

}  // namespace
}  // namespace oracle
