#include "autograd/ops/reductions/numeric.hpp"

#include <cmath>

#include "autograd/ops/reductions/counts.hpp"
#include "autograd/ops/reductions/unique.hpp"
#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// Variance of a column of five elements.
double variance(const Tensor& x, std::int64_t column) {
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < 5; ++i) sum += element(x, {i, column});
  for (std::int64_t i = 0; i < 5; ++i)
    squares += (element(x, {i, column}) - sum / 5) * (element(x, {i, column}) - sum / 5);
  return squares / 4;
}

void add_nan(std::vector<Row>& rows) {
  for (const bool root : {false, true}) {
    const auto f = [root](const Tensor& x, const ag::Axes& axes, bool keepdims) {
      return root ? ag::nanstd(x, axes, keepdims) : ag::nanvar(x, axes, keepdims);
    };
    Row row{root ? "nanstd" : "nanvar", {}};
    row.nan = "leaves NaN out";
    Sample columns =
        one("(5, 3), axis 0", draw({5, 3}, -2, 2), [f](const Tensor& x) { return f(x, 0, false); });
    columns.naive = loop({3}, [root](const Place& at, const TensorList& in) {
      const double v = variance(in[0], at[0]);
      return root ? std::sqrt(v) : v;
    });
    row.samples = {
        columns,
        one("(2, 3, 4), axes 0 2, keepdims", draw({2, 3, 4}, -2, 2),
            [f](const Tensor& x) {
              return f(x, {0, 2}, true);
            }),
        one("(7,), all", draw({7}, -2, 2), [f](const Tensor& x) { return f(x, {}, false); })};
    row.mistakes = {{[f] { return f(ag::arange(3), {}, false); },
                     row.name + ": needs float32 or float64, got int64"}};
    rows.push_back(row);
  }
}

void add_close(std::vector<Row>& rows) {
  Row row{"isclose", {}, {}, false};
  row.exempt = "the result is bool";
  row.nan = "a NaN is close to nothing";
  row.samples = {
      {"tolerances",
       {ag::tensor({1.0, 1.0, -2.0, 0.0}), ag::tensor({1.05, 1.2, -2.3, 0.01})},
       [](const TensorList& t) { return ag::isclose(t[0], t[1], 0.1, 0.02).to(ag::float64); },
       [](const TensorList&) {
         return std::vector<double>{1, 0, 0, 1};
       }},
      {"broadcast", {draw({2, 1}, 0, 1), draw({3}, 0, 1)}, [](const TensorList& t) {
         return ag::isclose(t[0], t[1], 0.5).to(ag::float64);
       }}};
  row.mistakes = {{[] { return ag::isclose(ag::ones({2}), ag::arange(2)); }, "isclose: "},
                  {[] { return ag::isclose(ag::ones({2}), ag::ones({2}), -1); },
                   "isclose: rtol and atol must be at least 0, got -1 and 1e-08"}};
  rows.push_back(row);
}

void add_polyval(std::vector<Row>& rows) {
  Row row{"polyval", {}};
  row.samples = {{"4 at (2, 3)",
                  {draw({4}, -2, 2), draw({2, 3}, -2, 2)},
                  [](const TensorList& t) { return ag::polyval(t[0], t[1]); },
                  loop({2, 3},
                       [](const Place& at, const TensorList& in) {
                         const double x = element(in[1], at);
                         double y = 0;
                         for (std::int64_t k = 0; k < 4; ++k)
                           y += element(in[0], {k}) * std::pow(x, 3.0 - static_cast<double>(k));
                         return y;
                       })},
                 {"1 at ()", {draw({1}, -2, 2), draw({}, -2, 2)}, [](const TensorList& t) {
                    return ag::polyval(t[0], t[1]);
                  }}};
  row.mistakes = {{[] {
                     return ag::polyval(ag::ones({2, 2}), ag::ones({2}));
                   },
                   "polyval: the coefficients must have one axis, got shape (2, 2)"},
                  {[] { return ag::polyval(ag::ones({2}), ag::arange(2)); },
                   "polyval: needs float32 or float64, got int64"}};
  rows.push_back(row);
}

void add_unique(std::vector<Row>& rows) {
  Row row{"unique", {}, {}, false};
  row.exempt = "which elements differ has no derivative";
  row.nan = "each NaN is one of its own, and last";
  const Tensor x = ag::tensor({3.0, 1.0, 3.0, 2.0, 1.0, 3.0});
  row.samples = {{"values",
                  {x},
                  [](const TensorList& t) { return ag::unique(t[0]).values; },
                  [](const TensorList&) {
                    return std::vector<double>{1, 2, 3};
                  }},
                 {"places",
                  {x},
                  [](const TensorList& t) { return ag::unique(t[0]).inverse.to(ag::float64); },
                  [](const TensorList&) { return std::vector<double>{2, 0, 2, 1, 0, 2}; }},
                 {"counts",
                  {x},
                  [](const TensorList& t) { return ag::unique(t[0]).counts.to(ag::float64); },
                  [](const TensorList&) {
                    return std::vector<double>{2, 1, 3};
                  }},
                 {"slices along an axis",
                  {ag::tensor({{3.0, 1.0, 3.0}, {0.0, 5.0, 0.0}})},
                  [](const TensorList& t) { return ag::unique(t[0], 1).values; },
                  [](const TensorList&) {
                    return std::vector<double>{1, 3, 5, 0};
                  }}};
  rows.push_back(row);

  Row bins{"bucketize", {}, {}, false};
  bins.exempt = "the result is int64";
  bins.nan = "a NaN is the largest value";
  for (const bool right : {false, true})
    bins.samples.push_back(
        {right ? "right" : "left",
         {ag::tensor({0.0, 1.0, 1.5, 3.0, 4.0}), ag::tensor({1.0, 2.0, 3.0})},
         [right](const TensorList& t) { return ag::bucketize(t[0], t[1], right).to(ag::float64); },
         [right](const TensorList&) {
           return right ? std::vector<double>{0, 1, 1, 3, 3} : std::vector<double>{0, 0, 1, 2, 3};
         }});
  bins.mistakes = {{[] {
                      return ag::bucketize(ag::ones({2}), ag::ones({2, 2}));
                    },
                    "bucketize: the boundaries must have one axis, got shape (2, 2)"}};
  rows.push_back(bins);
}

// x in the dtype of the weights, if there are any.
Tensor like(const Tensor& x, const Tensor& weight) {
  return weight.defined() ? x.to(weight.dtype()) : x;
}

void add_histograms(std::vector<Row>& rows) {
  const Tensor x = ag::tensor({0.0, 0.5, 1.0, 1.5, 2.0, 2.5}), edges = ag::tensor({0.0, 1.0, 2.0});
  const auto weighted = [](const TensorList& in) {
    const auto w = in[0].to_vector<double>();
    return std::vector<double>{w[0] + w[1], w[2] + w[3] + w[4]};
  };
  Row row{"histogram", {}};
  row.samples = {
      {"weights, 2 bins",
       {draw({6}, 0.5, 2)},
       [x](const TensorList& t) {
         return ag::histogram(like(x, t[0]), 2, {.range = std::pair(0.0, 2.0), .weight = t[0]})
             .counts;
       },
       weighted},
      {"weights, edges, density",
       {draw({6}, 0.5, 2)},
       [x, edges](const TensorList& t) {
         return ag::histogram(like(x, t[0]), like(edges, t[0]), {.weight = t[0], .density = true})
             .counts;
       },
       [weighted](const TensorList& in) {
         auto y = weighted(in);
         return std::vector<double>{y[0] / (y[0] + y[1]), y[1] / (y[0] + y[1])};
       }}};
  row.mistakes = {
      {[] { return ag::histogram(ag::arange(3), 2).counts; },
       "histogram: needs float32 or float64, got int64"},
      {[] { return ag::histogram(ag::ones({3}), 0).counts; },
       "histogram: the number of bins must be in [1, 2^31), got 0"},
      {[] { return ag::histogram(ag::ones({3}), 2, {.range = std::pair(2.0, 1.0)}).counts; },
       "histogram: the range must be finite and ascend, got [2, 1]"},
      {[] { return ag::histogram(ag::ones({3}), 2, {.weight = ag::ones({2})}).counts; },
       "histogram: needs one weight for each element, got (2,) for (3,)"},
      {[] {
         return ag::histogram(ag::ones({3}), ag::tensor({1.0F, 0.0F})).counts;
       },
       "histogram: edges must ascend, got 1 before 0"},
      {[] { return ag::histogram(ag::ones({3}), ag::ones({1})).counts; },
       "histogram: edges must have one axis of at least 2, got shape (1,)"}};
  rows.push_back(row);

  Row plain{"histc", {}, {}, false};
  plain.exempt = "counts have no derivative";
  plain.nan = "a NaN counts for nothing";
  plain.samples = {{"4 bins from -1 to 2",
                    {ag::tensor({-1.0, -2.0, 2.0, 0.3, 0.6, 1.9, 2.1})},
                    [](const TensorList& t) { return ag::histc(t[0], 4, -1, 2); },
                    [](const TensorList&) {
                      return std::vector<double>{1, 1, 1, 2};
                    }}};
  plain.mistakes = {{[] { return ag::histc(ag::ones({3}), 0); },
                     "histc: the number of bins must be in [1, 2^31), got 0"}};
  rows.push_back(plain);
}

}  // namespace

void add_numeric(std::vector<Row>& rows) {
  add_nan(rows);
  add_close(rows);
  add_polyval(rows);
  add_unique(rows);
  add_histograms(rows);
}

const Family numeric_rows(add_numeric);

}  // namespace table
