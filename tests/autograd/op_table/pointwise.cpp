#include "tests/autograd/op_table.hpp"

#include <fmt/format.h>
#include "autograd/formulas.hpp"

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

}  // namespace

void add_pointwise(std::vector<Row>& rows) {
#define PRIMITIVE(op, kind, gx, low, high) UNARY(op, kind, , gx, low, high)
#define UNARY(op, kind, value, gx, low, high) \
  rows.push_back(unary(#op, static_cast<Unary>(ag::op), {low, high}));
#define BINARY(op, kind, value, ga, gb, al, ah, bl, bh) \
  rows.push_back(binary(#op, static_cast<Binary>(ag::op), {al, ah}, {bl, bh}));
#define TERNARY(op, kind, value, ga, gb, gc, al, ah, bl, bh, cl, ch) \
  rows.push_back(ternary(#op, static_cast<Ternary>(ag::op), {al, ah}, {bl, bh}, {cl, ch}));
#define COMPARE(...)
#include "autograd/elementwise.def"
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

}  // namespace table
