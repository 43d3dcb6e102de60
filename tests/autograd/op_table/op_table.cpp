#include "tests/autograd/op_table/op_table.hpp"

#include <algorithm>
#include <map>
#include <random>

namespace ag = autograd;

namespace table {
namespace {

std::mt19937_64& engine() {
  static std::mt19937_64 e(20240229);
  return e;
}

}  // namespace

std::function<std::vector<double>(const TensorList&)> loop(
    const Shape& shape, std::function<double(const Place&, const TensorList&)> f) {
  return [=](const TensorList& in) {
    std::vector<double> out;
    Place place(shape.size(), 0);
    for (std::int64_t k = 0; k < shape.numel(); ++k) {
      std::int64_t rest = k;
      for (std::size_t d = shape.size(); d-- > 0; rest /= shape[d]) place[d] = rest % shape[d];
      out.push_back(f(place, in));
    }
    return out;
  };
}

double element(const Tensor& x, const Place& place) {
  std::int64_t at = 0;
  for (std::size_t d = 0; d < place.size(); ++d) at = at * x.shape()[d] + place[d];
  return x.data<double>()[at];
}

const std::vector<Shape>& awkward() {
  static const std::vector<Shape> shapes{{}, {1}, {5}, {2, 3}, {0, 3}, {2, 1, 3}, {1, 0}, {3, 17}};
  return shapes;
}

const std::vector<std::pair<Shape, Shape>>& broadcasts() {
  static const std::vector<std::pair<Shape, Shape>> pairs{
      {{}, {}},         {{2, 3}, {2, 3}}, {{2, 3}, {}},        {{}, {2, 3}},      {{2, 3}, {3}},
      {{2, 1}, {1, 3}}, {{0, 3}, {3}},    {{3, 1, 2}, {4, 1}}, {{2, 20}, {2, 1}}, {{1}, {1, 1}}};
  return pairs;
}

Sample one(std::string text, Tensor x, std::function<Tensor(const Tensor&)> f) {
  return {std::move(text), {std::move(x)}, [f](const TensorList& in) { return f(in[0]); }};
}

void matrix_mistakes(Row& row, std::function<Tensor(const Tensor&)> f, bool square) {
  if (square)
    row.mistakes.push_back({[f] {
                              return f(ag::ones({2, 3}));
                            },
                            row.name + ": needs square matrices (…, n, n), got shape (2, 3)"});
  row.mistakes.push_back(
      {[f] { return f(ag::ones({2})); }, row.name + ": needs matrices (…, m, n), got shape (2,)"});
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 2}, ag::int64));
                          },
                          row.name + ": needs float32 or float64, got int64"});
}

Tensor draw(const Shape& shape, double low, double high) {
  Tensor t = ag::empty(shape, ag::float64);
  std::uniform_real_distribution<double> u(low, high);
  auto* p = t.mutable_data<double>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = u(engine());
  return t;
}

Tensor draw_distinct(const Shape& shape) {
  Tensor t = ag::empty(shape, ag::float64);
  auto* p = t.mutable_data<double>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = 0.1 * static_cast<double>(i) - 1;
  std::shuffle(p, p + t.numel(), engine());
  return t;
}

namespace {

// Why a NaN does not spread, or a result has no gradient, for rows that are made in families.
void add_reasons(std::vector<Row>& rows) {
  const char* const truth = "a NaN is true, as in C++ and NumPy";
  const char* const order = "a NaN is the largest value, so the others change their places";
  const std::map<std::string, const char*> nan{
      {"hardshrink", "a comparison with a NaN bound is false"},
      {"threshold", "a comparison with a NaN bound is false"},
      {"nan_to_num", "replaces NaN"},
      {"nansum", "leaves NaN out"},
      {"nanmean", "leaves NaN out"},
      {"all", truth},
      {"any", truth},
      {"count_nonzero", truth},
      {"sort", order},
      {"topk", order},
      {"kthvalue", order},
      {"searchsorted", order}};
  for (Row& row : rows) {
    if (const auto found = nan.find(row.name); found != nan.end()) row.nan = found->second;
    for (const char* name : {"all", "any", "logical_and", "logical_or", "logical_xor"})
      if (row.name == name) row.exempt = "the result is bool";
    for (const char* name : {"count_nonzero", "matrix_rank", "nonzero", "one_hot", "searchsorted"})
      if (row.name == name) row.exempt = "the result is int64";
  }
}

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> r;
    for (const auto& [file, families] : Family::all()) {
      std::seed_seq seed(file.begin(), file.end());
      engine().seed(seed);
      for (const auto add : families) add(r);
    }
    add_reasons(r);
    add_points(r);
    return r;
  }();
  return all;
}

}  // namespace table
