#include <fmt/format.h>

#include <algorithm>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// The first k of each line along an axis in order, laid out as a tensor with that axis of size k.
std::vector<double> ordered(const Tensor& x, std::int64_t axis, std::int64_t k, bool descending) {
  if (x.ndim() == 0) return x.to_vector<double>();
  const Tensor lines = ag::transpose(x, axis, -1);
  const auto v = lines.to_vector<double>();
  const std::int64_t n = lines.size(-1);
  std::vector<double> kept;
  for (std::int64_t r = 0; n > 0 && r < lines.numel() / n; ++r) {
    std::vector<double> line(v.begin() + r * n, v.begin() + (r + 1) * n);
    std::sort(line.begin(), line.end());
    if (descending) std::reverse(line.begin(), line.end());
    kept.insert(kept.end(), line.begin(), line.begin() + k);
  }
  Shape shape = lines.shape();
  shape.back() = k;
  return ag::transpose(ag::reshape(ag::tensor(kept), shape), axis, -1).to_vector<double>();
}

// Values and indices must tell the same.
Tensor agreed(const Tensor& x, std::int64_t axis, const ag::ValuesAndIndices& found) {
  return (found.values + ag::gather(x, axis, found.indices)) / 2;
}

const std::vector<std::pair<Shape, std::int64_t>>& along() {
  static const std::vector<std::pair<Shape, std::int64_t>> cases{
      {{}, -1}, {{1}, 0}, {{5}, 0}, {{3, 4}, 0}, {{3, 4}, -1}, {{2, 5, 3}, 1}, {{2, 40}, 1}};
  return cases;
}

void add_order(std::vector<Row>& rows) {
  Row sort{"sort", {}}, argsort{"argsort", {}}, topk{"topk", {}}, kth{"kthvalue", {}};
  argsort.differentiable = false;
  for (const auto& [s, a] : along())
    for (const bool d : {false, true}) {
      const std::int64_t axis = a, n = s.ndim() ? ag::empty(s).size(a) : 1, k = (n + 1) / 2;
      const std::string text = fmt::format("{}, axis {}, {}", s, a, d);
      const Tensor x = draw_distinct(s);
      sort.samples.push_back(
          {text,
           {x},
           [=](const TensorList& t) { return agreed(t[0], axis, ag::sort(t[0], axis, d)); },
           [=](const TensorList& t) { return ordered(t[0], axis, n, d); }});
      argsort.samples.push_back(
          one(text, x, [=](const Tensor& t) { return ag::argsort(t, axis, d); }));
      topk.samples.push_back(
          {text,
           {x},
           [=](const TensorList& t) { return agreed(t[0], axis, ag::topk(t[0], k, axis, d)); },
           [=](const TensorList& t) { return ordered(t[0], axis, k, d); }});
      kth.samples.push_back(
          {text,
           {x},
           [=](const TensorList& t) {
             return agreed(t[0], axis, ag::kthvalue(t[0], k, axis, true));
           },
           [=, s = s](const TensorList& t) {
             auto low = ag::tensor(ordered(t[0], axis, k, false));
             Shape shape = s;
             if (s.ndim()) shape[static_cast<std::size_t>(axis < 0 ? axis + s.ndim() : axis)] = k;
             low = ag::reshape(low, shape);
             if (s.ndim()) low = ag::narrow(low, axis, k - 1, 1);
             return low.to_vector<double>();
           }});
    }
  for (const Shape& s : {Shape(0, 3), Shape(3, 0)}) {
    sort.samples.push_back(one("empty", ag::zeros(s, ag::float64),
                               [](const Tensor& x) { return ag::sort(x).values; }));
    topk.samples.push_back(one("empty", ag::zeros(s, ag::float64),
                               [](const Tensor& x) { return ag::topk(x, 0).values; }));
  }
  topk.samples.push_back(one("unsorted", draw_distinct({3, 7}), [](const Tensor& x) {
    return agreed(x, 1, ag::topk(x, 3, 1, true, false));
  }));
  const std::string range = "axis must be in [-2, 1] for shape (2, 3), got 2";
  const Tensor x = ag::ones({2, 3});
  sort.mistakes.push_back({[x] { return ag::sort(x, 2).values; }, "sort: " + range});
  argsort.mistakes.push_back({[x] { return ag::argsort(x, 2); }, "argsort: " + range});
  topk.mistakes.push_back({[x] { return ag::topk(x, 4).values; },
                           "topk: k must be in [0, 3] for axis 1 of (2, 3), got 4"});
  kth.mistakes.push_back({[x] { return ag::kthvalue(x, 0).values; },
                          "kthvalue: k must be in [1, 3] for axis 1 of (2, 3), got 0"});
  for (const Row& row : {sort, argsort, topk, kth}) rows.push_back(row);
}

}  // namespace

void add_sorting(std::vector<Row>& rows) {
  add_order(rows);
  Row search{"searchsorted", {}, {}, false};
  const Tensor sorted = ag::tensor({1.0, 2.0, 2.0, 5.0});
  for (const bool right : {false, true})
    search.samples.push_back({right ? "right" : "left",
                              {sorted, ag::tensor({0.0, 1.0, 2.0, 3.0, 5.0, 9.0})},
                              [right](const TensorList& t) {
                                return ag::searchsorted(t[0], t[1], right).to(ag::float64);
                              },
                              [right](const TensorList& t) {
                                std::vector<double> y;
                                for (const double v : t[1].to_vector<double>()) {
                                  double at = 0;
                                  for (const double s : t[0].to_vector<double>())
                                    at += right ? s <= v : s < v;
                                  y.push_back(at);
                                }
                                return y;
                              }});
  search.samples.push_back({"rows",
                            {ag::tensor({{1.0, 3.0}, {2.0, 4.0}}), ag::tensor({{2.5}, {1.0}})},
                            [](const TensorList& t) { return ag::searchsorted(t[0], t[1]); }});
  search.samples.push_back({"empty",
                            {ag::zeros({0}, ag::float64), ag::ones({2, 2}, ag::float64)},
                            [](const TensorList& t) { return ag::searchsorted(t[0], t[1]); }});
  search.mistakes.push_back({[] {
                               return ag::searchsorted(ag::ones({2, 3}), ag::ones({3, 3}));
                             },
                             "searchsorted: the sorted tensor must be 1-d or agree"});
  search.mistakes.push_back(
      {[] { return ag::searchsorted(ag::ones({3}), ag::arange(3)); }, "searchsorted: "});
  rows.push_back(search);

  Row count{"bincount", {}};
  const Tensor x = ag::tensor({1, 4, 1, 0});
  count.samples.push_back({"weights",
                           {x, draw({4}, -2, 2)},
                           [](const TensorList& t) { return ag::bincount(t[0], t[1], 6); },
                           [](const TensorList& t) {
                             const auto w = t[1].to_vector<double>();
                             return std::vector<double>{w[3], w[0] + w[2], 0, 0, w[1], 0};
                           }});
  const std::string text = "needs int64 of one axis, got float32 of shape (2,)";
  count.mistakes.push_back({[] { return ag::bincount(ag::ones({2})); }, text});
  count.mistakes.push_back({[] {
                              return ag::bincount(ag::tensor({1, -1}));
                            },
                            "less than 2^63 - 1, got -1"});
  count.mistakes.push_back({[x] { return ag::bincount(x, ag::ones({2})); }, "one weight for each"});
  rows.push_back(count);
}

const Family sorting_rows(add_sorting);

}  // namespace table
