#include "tests/autograd/op_table/op_table.hpp"

#include <fmt/format.h>

#include <cmath>

#include "autograd/formulas/formulas.hpp"

namespace ag = autograd;

namespace table {
namespace {

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

// A refusal of one operation of the table.
void refuse(std::vector<Row>& rows, const std::string& name, std::function<Tensor()> call,
            std::string text) {
  for (Row& row : rows)
    if (row.name == name) row.mistakes.push_back({std::move(call), std::move(text)});
}

template <class F>
Row per_element(std::string name, F f, double low, double high) {
  Row row{std::move(name), {}};
  for (const Shape& s : awkward()) row.samples.push_back(one(s.str(), draw(s, low, high), f));
  row.mistakes.push_back({[f] { return f(Tensor()); }, "must be defined"});
  return row;
}

// The activations that are more than a formula, and what the numbers of the others must be.
void add_parameterised(std::vector<Row>& rows) {
  rows.push_back(per_element(
      "relu6", [](const Tensor& x) { return ag::relu6(x); }, 0.1, 7));
  rows.push_back(per_element(
      "nan_to_num", [](const Tensor& x) { return ag::nan_to_num(x); }, -3, 3));

  auto prelu = [](const TensorList& x) { return ag::prelu(x[0], x[1]); };
  auto naive_prelu = [](const TensorList& in) {
    auto x = in[0].to_vector<double>();
    const auto w = in[1].to_vector<double>();
    std::size_t after = 1;  // elements per channel
    for (std::int64_t axis = 2; axis < in[0].ndim(); ++axis)
      after *= static_cast<std::size_t>(in[0].shape()[static_cast<std::size_t>(axis)]);
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x[i] <= 0) x[i] *= w[i / after % w.size()];
    return x;
  };
  Row row{"prelu", {}};
  for (const auto& [s, t] : std::vector<std::pair<Shape, Shape>>{
           {{}, {}}, {{5}, {1}}, {{2, 3}, {3}}, {{2, 3}, {}}, {{1, 3, 2, 2}, {3}}, {{0, 3}, {3}}})
    row.samples.push_back(
        {s.str() + ", " + t.str(), {draw(s, -3, 3), draw(t, -1, 1)}, prelu, naive_prelu});
  row.mistakes = {
      {[] {
         return ag::prelu(ag::ones({2, 3}), ag::ones({2}));
       },
       "the weight must be of shape () or (1,) or (3,), one per channel of x (2, 3), got (2,)"},
      {[] { return ag::prelu(ag::ones({3}), ag::ones({3})); }, "one per channel of x (3,), got"},
      {[] {
         return ag::prelu(ag::ones({3, 4}), ag::ones({1}, ag::float64));
       },
       "dtypes must match"},
      {[] { return ag::prelu(Tensor(), ag::ones({1})); }, "must be defined"}};
  rows.push_back(row);

  auto naive_glu = [](const TensorList& in) {  // along the last axis
    const auto x = in[0].to_vector<double>();
    const auto n = static_cast<std::size_t>(in[0].shape()[1]);
    std::vector<double> y;
    for (std::size_t i = 0; i < x.size(); i += n)
      for (std::size_t j = 0; j < n / 2; ++j)
        y.push_back(x[i + j] / (1 + std::exp(-x[i + n / 2 + j])));
    return y;
  };
  const auto glu = [](std::int64_t axis) {
    return [axis](const TensorList& x) { return ag::glu(x[0], axis); };
  };
  rows.push_back(
      {"glu",
       {{"(4)", {draw({4}, -2, 2)}, glu(-1)},
        {"(3, 6)", {draw({3, 6}, -2, 2)}, glu(-1), naive_glu},
        {"(2, 4, 3), axis 1", {draw({2, 4, 3}, -2, 2)}, glu(1)},
        {"(0, 2), axis 1", {draw({0, 2}, -2, 2)}, glu(1), naive_glu},
        {"(0, 3), axis 0", {draw({0, 3}, -2, 2)}, glu(0)}},
       {{[] {
           return ag::glu(ag::ones({2, 3}));
         },
         "the size of axis 1 must be even, got (2, 3)"},
        {[] { return ag::glu(ag::tensor(1.0)); }, "the size of axis 0 must be even, got ()"},
        {[] { return ag::glu(ag::ones({2}), 1); }, "axis"}}});

  refuse(
      rows, "celu", [] { return ag::celu(ag::ones({2}), 0); }, "alpha must not be 0");
  refuse(
      rows, "softshrink", [] { return ag::softshrink(ag::ones({2}), -0.1); },
      "lambda must be at least 0, got -0.1");
  refuse(
      rows, "hardtanh", [] { return ag::hardtanh(ag::ones({2}), 1, -1); },
      "low must be at most high, got 1 and -1");
  refuse(
      rows, "polygamma", [] { return ag::polygamma(-1, ag::ones({2})); },
      "the order must be in [0, 170], got -1");
  refuse(
      rows, "polygamma", [] { return ag::polygamma(1, ag::arange(3)); },
      "needs float32 or float64, got int64");
  refuse(
      rows, "fmod", [] { return ag::fmod(ag::arange(3), ag::arange(3)); },
      "needs float32 or float64, got int64");
}

// Truth values: no gradient.
void add_logic(std::vector<Row>& rows) {
  for (const auto& [name, f] :
       std::vector<std::pair<std::string, Unary>>{{"isnan", ag::isnan},
                                                  {"isinf", ag::isinf},
                                                  {"isfinite", ag::isfinite},
                                                  {"logical_not", ag::logical_not}}) {
    const auto g = f;
    Row row = per_element(
        name, [g](const Tensor& x) { return g(x); }, -1, 1);
    row.differentiable = false;
    rows.push_back(row);
  }
  using Table = bool (*)(bool, bool);
  for (const auto& [name, f, table] : std::vector<std::tuple<std::string, Binary, Table>>{
           {"logical_and", ag::logical_and, [](bool a, bool b) { return a && b; }},
           {"logical_or", ag::logical_or, [](bool a, bool b) { return a || b; }},
           {"logical_xor", ag::logical_xor, [](bool a, bool b) { return a != b; }}}) {
    const auto g = f;
    const auto h = table;
    Row row{name, {}};
    row.differentiable = false;
    for (const auto& [s, t] : broadcasts()) {
      const Tensor a = draw(s, -1, 1) > 0, b = draw(t, -1, 1) > 0;
      row.samples.push_back({s.str() + ", " + t.str(), {a, b}, [g](const TensorList& x) {
                               return g(x[0], x[1]).to(ag::float64);
                             }});
      row.samples.back().naive = [h](const TensorList& x) {
        const Shape shape = ag::shapes::broadcast("naive", x[0].shape(), x[1].shape());
        const auto p = ag::expand(x[0], shape).to(ag::int64).to_vector<std::int64_t>();
        const auto q = ag::expand(x[1], shape).to(ag::int64).to_vector<std::int64_t>();
        std::vector<double> y;
        for (std::size_t i = 0; i < p.size(); ++i) y.push_back(h(p[i] != 0, q[i] != 0));
        return y;
      };
    }
    row.mistakes = {{[g] {
                       return g(ag::ones({2, 3}), ag::ones({2}));
                     },
                     "shapes must broadcast"},
                    {[g] { return g(ag::ones({2}), Tensor()); }, "must be defined"}};
    rows.push_back(row);
  }
}

}  // namespace

void add_elementwise(std::vector<Row>& rows) {
#define PRIMITIVE(op, kind, gx, low, high) UNARY(op, kind, , gx, low, high)
#define UNARY(op, kind, value, gx, low, high) \
  rows.push_back(unary(#op, static_cast<Unary>(ag::op), {low, high}));
#define BINARY(op, kind, value, ga, gb, al, ah, bl, bh) \
  rows.push_back(binary(#op, static_cast<Binary>(ag::op), {al, ah}, {bl, bh}));
#define TERNARY(op, kind, value, ga, gb, gc, al, ah, bl, bh, cl, ch) \
  rows.push_back(ternary(#op, static_cast<Ternary>(ag::op), {al, ah}, {bl, bh}, {cl, ch}));
#define COMPARE(...)
#include "autograd/formulas/elementwise.def"
  add_parameterised(rows);
  add_logic(rows);
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
}

const Family elementwise_rows(add_elementwise);

}  // namespace table
