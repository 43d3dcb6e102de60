#include "tests/autograd/op_table.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <random>

#include "autograd/formulas.hpp"

namespace ag = autograd;

namespace table {
namespace {

std::mt19937_64& engine() {
  static std::mt19937_64 e(20240229);
  return e;
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

// ---------------------------------------------------------------- elementwise rows, from the
// formulas

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);
using Ternary = Tensor (*)(const Tensor&, const Tensor&, const Tensor&);

Row unary(std::string name, Unary f, ag::simd::Range r) {
  Row row{std::move(name), {}};
  for (const Shape& s : awkward())
    row.samples.push_back(
        {s.str(), {draw(s, r.low, r.high)}, [f](const TensorList& x) { return f(x[0]); }});
  row.mistakes.push_back({[f] { return f(Tensor()); }, "every input must be defined"});
  row.mistakes.push_back({[f] { return f(ag::zeros({2}, ag::boolean)); }, "got bool"});
  return row;
}

Row binary(std::string name, Binary f, ag::simd::Range a, ag::simd::Range b) {
  Row row{std::move(name), {}};
  for (const auto& [s, t] : broadcasts())
    row.samples.push_back({s.str() + ", " + t.str(),
                           {draw(s, a.low, a.high), draw(t, b.low, b.high)},
                           [f](const TensorList& x) { return f(x[0], x[1]); }});
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), ag::ones({4}));
                          },
                          "shapes must broadcast, got (2, 3) and (4,): 3 != 4 on axis 1"});
  row.mistakes.push_back({[f] { return f(ag::ones({2}), ag::ones({2}, ag::float64)); },
                          "dtypes must match, got float32 and float64"});
  return row;
}

Row ternary(std::string name, Ternary f, ag::simd::Range a, ag::simd::Range b, ag::simd::Range c) {
  Row row{std::move(name), {}};
  for (const auto& [s, t] : broadcasts())
    row.samples.push_back(
        {s.str() + ", " + t.str() + ", ()",
         {draw(s, a.low, a.high), draw(t, b.low, b.high), draw({}, c.low, c.high)},
         [f](const TensorList& x) { return f(x[0], x[1], x[2]); }});
  return row;
}

void add_elementwise(std::vector<Row>& rows) {
#define PRIMITIVE(op, kind, gx, low, high) UNARY(op, kind, , gx, low, high)
#define UNARY(op, kind, value, gx, low, high) \
  rows.push_back(unary(#op, static_cast<Unary>(ag::op), {low, high}));
#define BINARY(op, kind, value, ga, gb, al, ah, bl, bh) \
  rows.push_back(binary(#op, static_cast<Binary>(ag::op), {al, ah}, {bl, bh}));
#define TERNARY(op, kind, value, ga, gb, gc, al, ah, bl, bh, cl, ch) \
  rows.push_back(ternary(#op, static_cast<Ternary>(ag::op), {al, ah}, {bl, bh}, {cl, ch}));
#define COMPARE(...)
#include "autograd/elementwise.def"
}

// ---------------------------------------------------------------- the others

// Values of `x` grouped by the element of the reduction they belong to.
std::vector<std::vector<double>> groups(const Tensor& x, const ag::Axes& axes) {
  const auto flags = ag::shapes::axes("groups", axes, x.shape());
  const Shape kept = ag::shapes::reduce(x.shape(), flags, true);
  std::vector<std::vector<double>> g(static_cast<std::size_t>(kept.numel()));
  const auto v = x.to_vector<double>();
  for (std::size_t i = 0; i < v.size(); ++i) {
    std::size_t rest = i, at = 0, stride = 1;
    for (std::size_t d = x.shape().size(); d-- > 0;) {
      const auto n = static_cast<std::size_t>(x.shape()[d]);
      if (!flags[d]) {
        at += rest % n * stride;
        stride *= n;
      }
      rest /= n;
    }
    g[at].push_back(v[i]);
  }
  return g;
}

using Fold = std::function<double(const std::vector<double>&)>;

template <class F>
Row reduction(std::string name, F f, const Fold& fold, bool empty_ok) {
  Row row{std::move(name), {}};
  const std::vector<std::pair<Shape, ag::Axes>> cases{
      {{}, {}},         {{4}, {}},           {{3, 4}, {0}},   {{3, 4}, {-1}},
      {{2, 3, 4}, {1}}, {{2, 3, 4}, {0, 2}}, {{2, 3, 4}, {}}, {{2, 3, 2, 2}, {3, 1}},
      {{1, 1}, {0}},    {{2, 40}, {1}},      {{0, 3}, {1}},   {{3, 0}, {1}}};
  for (const auto& [s, axes] : cases) {
    const bool empty = s.numel() == 0 && s[0] != 0;
    if (empty && !empty_ok) continue;
    for (const bool keepdims : {false, true})
      row.samples.push_back(
          {fmt::format("{}, axes [{}], keepdims {}", s, fmt::join(axes, ", "), keepdims),
           {draw_distinct(s)},
           [f, a = axes, keepdims](const TensorList& x) { return f(x[0], a, keepdims); },
           [fold, a = axes](const TensorList& x) {
             std::vector<double> out;
             for (const auto& g : groups(x[0], a)) out.push_back(fold(g));
             return out;
           }});
  }
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), ag::Axes(2), false);
                          },
                          "axis must be in [-2, 1] for shape (2, 3), got 2"});
  row.mistakes.push_back({[f] {
                            return f(ag::ones({2, 3}), ag::Axes({0, -2}), false);
                          },
                          "axes must be distinct"});
  return row;
}

double fold_sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double fold_mean(const std::vector<double>& v) {
  return fold_sum(v) / static_cast<double>(v.size());
}
double fold_var(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += (x - fold_mean(v)) * (x - fold_mean(v));
  return s / (static_cast<double>(v.size()) - 1);
}
double fold_logsumexp(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += std::exp(x);
  return std::log(s);
}

void add_reductions(std::vector<Row>& rows) {
  rows.push_back(reduction("sum", ag::sum, fold_sum, true));
  rows.push_back(reduction("mean", ag::mean, fold_mean, false));
  rows.push_back(reduction(
      "max", ag::max, [](const auto& v) { return *std::max_element(v.begin(), v.end()); }, false));
  rows.push_back(reduction(
      "min", ag::min, [](const auto& v) { return *std::min_element(v.begin(), v.end()); }, false));
  rows.push_back(reduction("logsumexp", ag::logsumexp, fold_logsumexp, false));
  Row var = reduction(
      "var", [](const Tensor& x, const ag::Axes& a, bool k) { return ag::var(x, a, k); }, fold_var,
      false);
  // One sample has no unbiased variance.
  std::erase_if(var.samples, [](const Sample& s) {
    return s.inputs[0].numel() == 1 || s.inputs[0].numel() == 0;
  });
  rows.push_back(var);
  for (auto& row : rows)
    for (const bool largest : {true, false})
      if (row.name == (largest ? "max" : "min"))
        row.mistakes.push_back({[largest] {
                                  const Tensor none = ag::zeros({2, 0});
                                  return largest ? ag::max(none, 1) : ag::min(none, 1);
                                },
                                "the reduced axes must not be empty, got shape (2, 0)"});
}

Sample one(std::string text, Tensor x, std::function<Tensor(const Tensor&)> f) {
  return {std::move(text), {std::move(x)}, [f](const TensorList& in) { return f(in[0]); }};
}

void add_shapes(std::vector<Row>& rows) {
  rows.push_back(
      {"reshape",
       {one("(2, 3) to (3, 2)", draw({2, 3}, -1, 1),
            [](auto& x) {
              return ag::reshape(x, {3, 2});
            }),
        one("(2, 3) to (-1)", draw({2, 3}, -1, 1), [](auto& x) { return ag::reshape(x, {-1}); }),
        one("(1) to ()", draw({1}, -1, 1), [](auto& x) { return ag::reshape(x, {}); }),
        one("(0, 3) to (3, 0)", draw({0, 3}, -1, 1),
            [](auto& x) {
              return ag::reshape(x, {3, 0});
            })},
       {{[] {
           return ag::reshape(ag::ones({2, 3}), {4});
         },
         "the number of elements must not change, got (2, 3) to (4,): 6 != 4"},
        {[] {
           return ag::reshape(ag::ones({2, 3}), {-1, 4});
         },
         "-1 must have a whole size"},
        {[] {
           return ag::reshape(ag::ones({2, 3}), {-1, -1});
         },
         "at most one -1"}}});
  rows.push_back(
      {"flatten",
       {one("(2, 3, 4)", draw({2, 3, 4}, -1, 1), [](auto& x) { return ag::flatten(x); }),
        one("(2, 3, 4), 1", draw({2, 3, 4}, -1, 1), [](auto& x) { return ag::flatten(x, 1); }),
        one("()", draw({}, -1, 1), [](auto& x) { return ag::flatten(x); })},
       {{[] {
           return ag::flatten(ag::ones({2, 3}), 1, 0);
         },
         "start must not be behind end"}}});
  rows.push_back(
      {"squeeze",
       {one("(1, 3, 1)", draw({1, 3, 1}, -1, 1), [](auto& x) { return ag::squeeze(x); }),
        one("(1, 3, 1), -1", draw({1, 3, 1}, -1, 1), [](auto& x) { return ag::squeeze(x, -1); })}});
  rows.push_back({"unsqueeze",
                  {one("(3), 0", draw({3}, -1, 1), [](auto& x) { return ag::unsqueeze(x, 0); }),
                   one("(3), -1", draw({3}, -1, 1), [](auto& x) { return ag::unsqueeze(x, -1); }),
                   one("(), 0", draw({}, -1, 1), [](auto& x) { return ag::unsqueeze(x, 0); })},
                  {{[] { return ag::unsqueeze(ag::ones({3}), 2); },
                    "axis must be in [-2, 1] for shape (3,), got 2"}}});
  rows.push_back({"permute",
                  {one("(2, 3, 4), 2 0 1", draw({2, 3, 4}, -1, 1),
                       [](auto& x) {
                         return ag::permute(x, {2, 0, 1});
                       }),
                   one("(2, 3, 4), 0 2 1", draw({2, 3, 4}, -1, 1),
                       [](auto& x) {
                         return ag::permute(x, {0, 2, 1});
                       }),
                   one("(2, 3, 4, 2), 3 1 2 0", draw({2, 3, 4, 2}, -1, 1),
                       [](auto& x) {
                         return ag::permute(x, {3, 1, -2, 0});
                       }),
                   one("()", draw({}, -1, 1), [](auto& x) { return ag::permute(x, {}); }),
                   one("(0, 2), 1 0", draw({0, 2}, -1, 1),
                       [](auto& x) {
                         return ag::permute(x, {1, 0});
                       })},
                  {{[] {
                      return ag::permute(ag::ones({2, 3}), {0});
                    },
                    "needs one axis for each of the 2 axes"},
                   {[] {
                      return ag::permute(ag::ones({2, 3}), {0, 0});
                    },
                    "axes must be distinct"}}});
  rows.push_back({"transpose",
                  {one("(2, 3)", draw({2, 3}, -1, 1), [](auto& x) { return ag::transpose(x); }),
                   one("(40, 37)", draw({40, 37}, -1, 1), [](auto& x) { return ag::transpose(x); }),
                   one("(2, 3, 4), 0, 2", draw({2, 3, 4}, -1, 1),
                       [](auto& x) { return ag::transpose(x, 0, 2); })}});
  rows.push_back({"expand",
                  {one("(3) to (2, 3)", draw({3}, -1, 1),
                       [](auto& x) {
                         return ag::expand(x, {2, 3});
                       }),
                   one("(2, 1) to (-1, 3)", draw({2, 1}, -1, 1),
                       [](auto& x) {
                         return ag::expand(x, {-1, 3});
                       }),
                   one("() to (2, 0)", draw({}, -1, 1),
                       [](auto& x) {
                         return ag::expand(x, {2, 0});
                       })},
                  {{[] {
                      return ag::expand(ag::ones({3}), {2, 4});
                    },
                    "the shape must broadcast to (2, 4), got (3,)"}}});
  rows.push_back(
      {"sum_to",
       {one("(2, 3) to (3)", draw({2, 3}, -1, 1), [](auto& x) { return ag::sum_to(x, {3}); }),
        one("(2, 3) to (2, 1)", draw({2, 3}, -1, 1),
            [](auto& x) {
              return ag::sum_to(x, {2, 1});
            }),
        one("(2, 3, 2) to (3, 1)", draw({2, 3, 2}, -1, 1),
            [](auto& x) {
              return ag::sum_to(x, {3, 1});
            }),
        one("(2, 3) to ()", draw({2, 3}, -1, 1), [](auto& x) { return ag::sum_to(x, {}); })},
       {{[] {
           return ag::sum_to(ag::ones({2, 3}), {2});
         },
         "the shape must broadcast to (2, 3), got (2,)"}}});
  rows.push_back({"concat",
                  {{"(2, 3), (1, 3)",
                    {draw({2, 3}, -1, 1), draw({1, 3}, -1, 1)},
                    [](auto& x) { return ag::concat(x); }},
                   {"(2, 0), (2, 3), axis -1",
                    {draw({2, 0}, -1, 1), draw({2, 3}, -1, 1)},
                    [](auto& x) { return ag::concat(x, -1); }},
                   {"(2, 2, 2) three times, axis 1",
                    {draw({2, 2, 2}, -1, 1), draw({2, 2, 2}, -1, 1), draw({2, 2, 2}, -1, 1)},
                    [](auto& x) { return ag::concat(x, 1); }}},
                  {{[] { return ag::concat({}); }, "needs at least one tensor"},
                   {[] {
                      return ag::concat({ag::ones({2, 3}), ag::ones({2, 4})});
                    },
                    "shapes must agree but for axis 0, got (2, 3) and (2, 4)"},
                   {[] {
                      return ag::concat({ag::ones({}), ag::ones({})});
                    },
                    "use stack"}}});
  rows.push_back(
      {"stack",
       {{"() twice", {draw({}, -1, 1), draw({}, -1, 1)}, [](auto& x) { return ag::stack(x); }},
        {"(2, 3) twice, axis 1",
         {draw({2, 3}, -1, 1), draw({2, 3}, -1, 1)},
         [](auto& x) { return ag::stack(x, 1); }}},
       {{[] {
           return ag::stack({ag::ones({2}), ag::ones({3})});
         },
         "shapes must be equal, got (2,) and (3,)"}}});
}

void add_indexing(std::vector<Row>& rows) {
  rows.push_back(
      {"narrow",
       {one("(4, 3), 0, 1, 2", draw({4, 3}, -1, 1), [](auto& x) { return ag::narrow(x, 0, 1, 2); }),
        one("(4, 3), -1, -2, 1", draw({4, 3}, -1, 1),
            [](auto& x) { return ag::narrow(x, -1, -2, 1); }),
        one("(4), 0, 4, 0", draw({4}, -1, 1), [](auto& x) { return ag::narrow(x, 0, 4, 0); })},
       {{[] { return ag::narrow(ag::ones({4}), 0, 3, 2); },
         "start and length must lie in axis 0 of (4,), got start 3 and length 2"},
        {[] { return ag::narrow(ag::ones({}), 0, 0, 1); }, "got a 0-d tensor"}}});
  rows.push_back(
      {"slice",
       {one("(7), 1:6:2", draw({7}, -1, 1), [](auto& x) { return ag::slice(x, 0, 1, 6, 2); }),
        one("(7), ::-1", draw({7}, -1, 1),
            [](auto& x) {
              return ag::slice(x, 0, 6, std::numeric_limits<std::int64_t>::max(), -1);
            }),
        one("(2, 5), 1, -2:", draw({2, 5}, -1, 1), [](auto& x) { return ag::slice(x, 1, -2); }),
        one("(3), 5:9", draw({3}, -1, 1), [](auto& x) { return ag::slice(x, 0, 5, 9); })},
       {{[] { return ag::slice(ag::ones({3}), 0, 0, 2, 0); }, "the step must not be 0"}}});
  rows.push_back(
      {"select",
       {one("(3, 4), 0, 1", draw({3, 4}, -1, 1), [](auto& x) { return ag::select(x, 0, 1); }),
        one("(3, 4), -1, -1", draw({3, 4}, -1, 1), [](auto& x) { return ag::select(x, -1, -1); })},
       {{[] {
           return ag::select(ag::ones({3, 4}), 0, 3);
         },
         "the index must be in [-3, 2] for axis 0 of (3, 4), got 3"}}});
  const Tensor picks = ag::tensor({2, 0, 2, -1});
  rows.push_back({"index_select",
                  {one("(3, 2), 0", draw({3, 2}, -1, 1),
                       [=](auto& x) { return ag::index_select(x, 0, picks); }),
                   one("(2, 3, 2), 1", draw({2, 3, 2}, -1, 1),
                       [=](auto& x) { return ag::index_select(x, 1, picks); }),
                   one("(3), none", draw({3}, -1, 1),
                       [](auto& x) { return ag::index_select(x, 0, ag::zeros({0}, ag::int64)); })},
                  {{[] { return ag::index_select(ag::ones({3}), 0, ag::tensor({3})); },
                    "indices must be in [-3, 2] for an axis of size 3, got 3"},
                   {[] { return ag::index_select(ag::ones({3}), 0, ag::ones({1})); },
                    "the index must be int64, got float32"}}});
  const Tensor grid = ag::tensor({{0, 2, 1}, {2, -1, 0}});
  rows.push_back(
      {"gather",
       {one("(2, 4), 1", draw({2, 4}, -1, 1), [=](auto& x) { return ag::gather(x, 1, grid); }),
        one("(3, 3), 0", draw({3, 3}, -1, 1), [=](auto& x) { return ag::gather(x, 0, grid); })},
       {{[=] { return ag::gather(ag::ones({2}), 0, grid); },
         "the index must have the rank of the tensor"},
        {[=] {
           return ag::gather(ag::ones({2, 2}), 1, grid);
         },
         "indices must be in [-2, 1]"}}});
  rows.push_back({"scatter_add_zeros",
                  {one("(2, 3) into (2, 4), 1", draw({2, 3}, -1, 1),
                       [=](auto& x) {
                         return ag::scatter_add_zeros({2, 4}, 1, grid, x);
                       })},
                  {{[=] {
                      return ag::scatter_add_zeros({2, 4}, 1, grid, ag::ones({2, 2}));
                    },
                    "source and index must have one shape"}}});
  const Tensor mask = ag::tensor({1, 0, 1}).to(ag::boolean);
  rows.push_back({"where",
                  {{"(3), (2, 3), ()",
                    {mask, draw({2, 3}, -1, 1), draw({}, -1, 1)},
                    [](auto& x) { return ag::where(x[0], x[1], x[2]); }},
                   {"(3), (3), (2, 1)",
                    {mask, draw({3}, -1, 1), draw({2, 1}, -1, 1)},
                    [](auto& x) { return ag::where(x[0], x[1], x[2]); }}},
                  {{[] { return ag::where(ag::ones({2}), ag::ones({2}), ag::ones({2})); },
                    "the condition must be bool, got float32"}}});
  rows.push_back(
      {"argmax",
       {one("(3, 4)", draw_distinct({3, 4}), [](auto& x) { return ag::argmax(x); }),
        one("(3, 4), 0", draw_distinct({3, 4}), [](auto& x) { return ag::argmax(x, 0, true); })},
       {{[] {
           return ag::argmax(ag::zeros({2, 0}));
         },
         "the axis must not be empty, got shape (2, 0)"}},
       false});
}

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

void add_products(std::vector<Row>& rows) {
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

void add_fused(std::vector<Row>& rows) {
  for (const bool log : {false, true}) {
    Row row{log ? "log_softmax" : "softmax", {}};
    const auto f = log ? ag::log_softmax : ag::softmax;
    const std::vector<std::pair<Shape, std::int64_t>> cases{
        {{}, 0}, {{4}, 0}, {{2, 20}, -1}, {{3, 4}, 0}, {{2, 3, 2}, 1}, {{0, 3}, 1}};
    for (const auto& [s, axis] : cases)
      row.samples.push_back(one(fmt::format("{}, {}", s, axis), draw(s, -2, 2),
                                [f, a = axis](auto& x) { return f(x, a); }));
    rows.push_back(row);
  }
  const Tensor targets = ag::tensor({0, 2, 1, -100});
  Row ce{"cross_entropy", {}};
  for (const double smoothing : {0.0, 0.3})
    for (const auto reduction : {ag::Reduction::mean, ag::Reduction::sum, ag::Reduction::none})
      for (const bool weighted : {false, true})
        ce.samples.push_back(
            {fmt::format("(4, 3), smoothing {}, reduction {}, weighted {}", smoothing,
                         static_cast<int>(reduction), weighted),
             {draw({4, 3}, -2, 2)},
             [=](auto& x) {
               return ag::cross_entropy(
                   x[0], targets,
                   {.weight = weighted ? ag::tensor({0.5, 1.0, 2.0}).to(x[0].dtype()) : Tensor(),
                    .reduction = reduction,
                    .label_smoothing = smoothing});
             }});
  ce.samples.push_back({"(2, 3, 2) images", {draw({2, 3, 2}, -2, 2)}, [](auto& x) {
                          return ag::cross_entropy(x[0], ag::tensor({{0, 1}, {2, 2}}));
                        }});
  ce.samples.push_back({"(3) one sample", {draw({3}, -2, 2)}, [](auto& x) {
                          return ag::cross_entropy(x[0], ag::tensor(1));
                        }});
  ce.samples.push_back({"(2, 3) probabilities",
                        {draw({2, 3}, -2, 2), draw({2, 3}, 0.1, 1)},
                        [](auto& x) { return ag::cross_entropy(x[0], x[1]); }});
  ce.mistakes = {
      {[] {
         return ag::cross_entropy(ag::zeros({1, 3}), ag::tensor({3}));
       },
       "targets must be in [0, 2] (or ignore_index -100), got 3 at sample 0"},
      {[] {
         return ag::cross_entropy(ag::zeros({2, 3}), ag::tensor({1}));
       },
       "targets must have the shape of the logits without the class axis, got (1,) for logits (2, "
       "3)"},
      {[] {
         return ag::cross_entropy(ag::zeros({1, 3}), ag::tensor({0}), {.label_smoothing = 2});
       },
       "label_smoothing must be in [0, 1], got 2"},
      {[] {
         return ag::cross_entropy(ag::zeros({1, 3}), ag::tensor({0}), {.weight = ag::ones({2})});
       },
       "weight must have one factor per class"}};
  rows.push_back(ce);
  rows.push_back(
      {"layer_norm",
       {{"(3, 5)", {draw({3, 5}, -2, 2)}, [](auto& x) { return ag::layer_norm(x[0], {5}); }},
        {"(3, 20), weight, bias",
         {draw({3, 20}, -2, 2), draw({20}, 0.5, 2), draw({20}, -1, 1)},
         [](auto& x) { return ag::layer_norm(x[0], {20}, x[1], x[2]); }},
        {"(2, 2, 3) over two axes, bias",
         {draw({2, 2, 3}, -2, 2), draw({2, 3}, -1, 1)},
         [](auto& x) {
           return ag::layer_norm(x[0], {2, 3}, {}, x[1]);
         }},
        {"(0, 4)", {draw({0, 4}, -2, 2)}, [](auto& x) { return ag::layer_norm(x[0], {4}); }}},
       {{[] {
           return ag::layer_norm(ag::ones({2, 3}), {4});
         },
         "the last axes must be (4,), got shape (2, 3)"}}});
}

}  // namespace

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

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> r;
    add_elementwise(r);
    add_reductions(r);
    add_shapes(r);
    add_indexing(r);
    add_products(r);
    add_fused(r);
    return r;
  }();
  return all;
}

}  // namespace table
