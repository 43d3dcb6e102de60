#include <fmt/format.h>

#include <map>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// Einstein summation by a loop over all subscripts. No ellipsis, no broadcasting.
std::vector<double> naive_einsum(const std::string& equation, const TensorList& in) {
  std::map<char, std::int64_t> size, at;
  std::vector<std::string> terms(1);
  const std::size_t arrow = equation.find("->");
  for (const char c : equation.substr(0, arrow)) {
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  }
  std::vector<std::vector<double>> values;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    values.push_back(in[i].to_vector<double>());
    for (std::size_t d = 0; d < terms[i].size(); ++d) size[terms[i][d]] = in[i].shape()[d];
  }
  const std::string result = equation.substr(arrow + 2);
  const auto offset = [&](const std::string& term) {
    std::int64_t o = 0;
    for (const char c : term) o = o * size[c] + at[c];
    return static_cast<std::size_t>(o);
  };
  std::int64_t all = 1, kept = 1;
  for (const auto& [c, n] : size) all *= n;
  for (const char c : result) kept *= size[c];
  std::vector<double> out(static_cast<std::size_t>(kept));
  for (std::int64_t step = 0; step < all; ++step) {
    std::int64_t rest = step;
    for (const auto& [c, n] : size) at[c] = rest % n, rest /= n;
    double product = 1;
    for (std::size_t i = 0; i < terms.size(); ++i) product *= values[i][offset(terms[i])];
    out[offset(result)] += product;
  }
  return out;
}

Tensor uniform(const Shape& s) { return draw(s, -1, 1); }

using Binary = Tensor (*)(const Tensor&, const Tensor&);

// Samples of a product that einsum can say.
Row binary(std::string name, Binary f,
           const std::vector<std::tuple<Shape, Shape, std::string>>& cases) {
  Row row{std::move(name), {}};
  for (const auto& [s, t, equation] : cases)
    row.samples.push_back({fmt::format("{}, {}", s, t),
                           {uniform(s), uniform(t)},
                           [f](auto& x) { return f(x[0], x[1]); },
                           [e = equation](auto& x) { return naive_einsum(e, x); }});
  return row;
}

void add_simple(std::vector<Row>& rows) {
  for (const auto& [name, f] :
       {std::pair<std::string, Binary>{"dot", ag::dot}, {"vdot", ag::vdot}}) {
    Row row = binary(name, f, {{{3}, {3}, "i,i->"}, {{0}, {0}, "i,i->"}, {{1}, {1}, "i,i->"}});
    row.mistakes = {
        {[f = f] { return f(ag::ones({3}), ag::ones({2})); },
         "needs two 1-d tensors of one size, got (3,) and (2,)"},
        {[f = f] {
           return f(ag::ones({3, 1}), ag::ones({3}));
         },
         "got (3, 1) and (3,)"},
        {[f = f] { return f(ag::ones({3}), ag::ones({3}, ag::float64)); }, "float32 and float64"}};
    rows.push_back(row);
  }
  Row inner = binary("inner", ag::inner,
                     {{{3}, {3}, "i,i->"},
                      {{2, 3}, {4, 3}, "ai,bi->ab"},
                      {{2, 3}, {3}, "ai,i->a"},
                      {{2, 2, 3}, {2, 3}, "abi,ci->abc"},
                      {{}, {2}, ",i->i"},
                      {{2, 0}, {3, 0}, "ai,bi->ab"}});
  inner.mistakes = {{[] {
                       return ag::inner(ag::ones({2, 3}), ag::ones({3, 2}));
                     },
                     "inner: the last sizes must agree, got (2, 3) and (3, 2)"}};
  rows.push_back(inner);
  Row outer = binary("outer", ag::outer, {{{3}, {2}, "i,j->ij"}, {{0}, {2}, "i,j->ij"}});
  outer.mistakes = {{[] {
                       return ag::outer(ag::ones({2, 3}), ag::ones({3}));
                     },
                     "outer: needs two 1-d tensors, got (2, 3) and (3,)"}};
  rows.push_back(outer);
  Row kron = binary("kron", ag::kron,
                    {{{2, 3}, {3, 2}, "ab,cd->acbd"},
                     {{3}, {2}, "a,c->ac"},
                     {{}, {2}, ",c->c"},
                     {{2, 3}, {2}, "ab,d->abd"},
                     {{2}, {2, 1, 3}, "a,cde->cdae"},
                     {{0, 2}, {2, 2}, "ab,cd->acbd"}});
  kron.mistakes = {{[] { return ag::kron(ag::ones({2}), ag::ones({2}, ag::int64)); }, "kron: "}};
  rows.push_back(kron);
}

void add_cross_and_trace(std::vector<Row>& rows) {
  const auto naive_cross = [](const TensorList& in) {  // along the last axis
    const auto a = in[0].to_vector<double>(), b = in[1].to_vector<double>();
    std::vector<double> out;
    for (std::size_t i = 0; i < a.size(); i += 3)
      for (std::size_t k = 0; k < 3; ++k)
        out.push_back(a[i + (k + 1) % 3] * b[i + (k + 2) % 3] -
                      a[i + (k + 2) % 3] * b[i + (k + 1) % 3]);
    return out;
  };
  const auto last = [](const TensorList& x) { return ag::cross(x[0], x[1]); };
  rows.push_back({"cross",
                  {{"(3), (3)", {uniform({3}), uniform({3})}, last, naive_cross},
                   {"(2, 3), (2, 3)", {uniform({2, 3}), uniform({2, 3})}, last, naive_cross},
                   {"(0, 3), (0, 3)", {uniform({0, 3}), uniform({0, 3})}, last, naive_cross},
                   {"(2, 1, 3), (4, 3)", {uniform({2, 1, 3}), uniform({4, 3})}, last},
                   {"(3, 2), (3, 1), 0",
                    {uniform({3, 2}), uniform({3, 1})},
                    [](auto& x) { return ag::cross(x[0], x[1], 0); }}},
                  {{[] {
                      return ag::cross(ag::ones({2, 4}), ag::ones({2, 4}));
                    },
                    "cross: axis 1 must have size 3, got (2, 4) and (2, 4)"},
                   {[] {
                      return ag::cross(ag::ones({2, 3}), ag::ones({2, 1}));
                    },
                    "cross: axis 1 must have size 3, got (2, 3) and (2, 1)"},
                   {[] {
                      return ag::cross(ag::ones({3, 2}), ag::ones({2}), 0);
                    },
                    "cross: axis 0 must have size 3, got (3, 2) and (2,)"},
                   {[] { return ag::cross(ag::ones({}), ag::ones({})); },
                    "must have size 3, got () and ()"}}});
  Row trace{"trace", {}};
  for (const Shape& s :
       std::vector<Shape>{{3, 3}, {2, 4}, {4, 2}, {2, 3, 3}, {0, 0}, {0, 2, 2}, {2, 0, 3}})
    for (const std::int64_t offset : {0, 1, -1, 2, -3, 9})
      trace.samples.push_back(
          {fmt::format("{}, offset {}", s, offset),
           {uniform(s)},
           [offset](auto& x) { return ag::trace(x[0], offset); },
           [offset, s = s](auto& x) {
             const auto v = x[0].template to_vector<double>();
             const std::int64_t m = s[s.size() - 2], n = s.back();
             std::vector<double> out;
             for (std::int64_t b = 0; b < (s.size() == 3 ? s[0] : 1); ++b) {
               out.push_back(0);
               for (std::int64_t i = 0; i < m; ++i)
                 if (i + offset >= 0 && i + offset < n)
                   out.back() += v[static_cast<std::size_t>((b * m + i) * n + i + offset)];
             }
             return out;
           }});
  trace.mistakes = {
      {[] { return ag::trace(ag::ones({3})); }, "needs matrices (…, m, n), got shape (3,)"}};
  rows.push_back(trace);
}

void add_multi_dot(std::vector<Row>& rows) {
  const auto call = [](const TensorList& x) { return ag::multi_dot(x); };
  const auto naive = [](std::string e) {
    return [e](const TensorList& x) { return naive_einsum(e, x); };
  };
  rows.push_back(
      {"multi_dot",
       {{"two", {uniform({2, 3}), uniform({3, 2})}, call, naive("ab,bc->ac")},
        {"three", {uniform({2, 4}), uniform({4, 1}), uniform({1, 3})}, call, naive("ab,bc,cd->ad")},
        {"four",
         {uniform({3, 1}), uniform({1, 4}), uniform({4, 1}), uniform({1, 2})},
         call,
         naive("ab,bc,cd,de->ae")},
        {"row first", {uniform({3}), uniform({3, 2}), uniform({2, 2})}, call, naive("b,bc,cd->d")},
        {"column last",
         {uniform({2, 3}), uniform({3, 2}), uniform({2})},
         call,
         naive("ab,bc,c->a")},
        {"both", {uniform({3}), uniform({3, 2}), uniform({2})}, call, naive("b,bc,c->")},
        {"empty",
         {uniform({2, 0}), uniform({0, 3}), uniform({3, 1})},
         call,
         naive("ab,bc,cd->ad")}},
       {{[] {
           return ag::multi_dot({ag::ones({2, 2})});
         },
         "needs at least two matrices, got 1"},
        {[] {
           return ag::multi_dot({ag::ones({2, 2}), ag::ones({3, 2})});
         },
         "inner sizes must match, got (2, 2) and (3, 2) at 1"},
        {[] {
           return ag::multi_dot({ag::ones({2, 2}), ag::ones({2}), ag::ones({2, 2})});
         },
         "got (2,) at 1"}}});
}

void add_einsum(std::vector<Row>& rows) {
  Row row{"einsum", {}};
  const auto add = [&](std::string equation, std::vector<Shape> shapes, std::string reference) {
    Sample s{equation, {}, [equation](auto& x) { return ag::einsum(equation, x); }};
    for (const Shape& shape : shapes) s.inputs.push_back(uniform(shape));
    if (reference == "same") reference = equation;
    if (!reference.empty())
      s.naive = [reference](const TensorList& x) { return naive_einsum(reference, x); };
    row.samples.push_back(s);
  };
  add("ij->ji", {{2, 3}}, "same");
  add("ij->", {{2, 3}}, "same");
  add("ij->j", {{2, 3}}, "same");
  add("ii->i", {{3, 3}}, "same");
  add("ii->", {{3, 3}}, "same");
  add("iji->j", {{3, 2, 3}}, "same");
  add("iii->i", {{3, 3, 3}}, "same");
  add("iijj->ij", {{2, 2, 3, 3}}, "same");
  add("->", {{}}, "same");
  add("i,i->i", {{3}, {3}}, "same");
  add("i,j->ji", {{3}, {2}}, "same");
  add("ij,jk->ik", {{2, 3}, {3, 4}}, "same");
  add("ij,kj->ki", {{2, 3}, {4, 3}}, "same");
  add("ji,jk->ik", {{3, 2}, {3, 4}}, "same");
  add("bij,bjk->bik", {{2, 2, 3}, {2, 3, 2}}, "same");
  add("bij,bkj->bki", {{2, 2, 3}, {2, 2, 3}}, "same");
  add("bhqd,bkhd->bhqk", {{2, 2, 3, 2}, {2, 2, 2, 2}}, "same");
  add("ijkl,ljm->mki", {{2, 3, 2, 2}, {2, 3, 2}}, "same");
  add("ij,kl->", {{2, 3}, {2, 2}}, "same");
  add("ii,ij,jk->k", {{2, 2}, {2, 3}, {3, 2}}, "same");
  add("ij,jk,kl,lm->im", {{2, 3}, {3, 1}, {1, 4}, {4, 2}}, "same");
  add("i,i,i->", {{3}, {3}, {3}}, "same");
  add("ik,jkl,il->ij", {{2, 3}, {2, 3, 2}, {2, 2}}, "same");
  add("Aa,aB->AB", {{2, 3}, {3, 2}}, "same");
  add("ij,jk->ik", {{2, 0}, {0, 3}}, "same");
  add("ij,jk->ik", {{0, 2}, {2, 3}}, "same");
  add(" i j , j k -> i k ", {{2, 3}, {3, 2}}, "ij,jk->ik");
  add("ij,jk", {{2, 3}, {3, 2}}, "ij,jk->ik");
  add("kj,ji", {{2, 3}, {3, 2}}, "kj,ji->ik");
  add("ii", {{3, 3}}, "ii->");
  add("ba", {{2, 3}}, "ba->ab");
  add("...ij,...jk->...ik", {{2, 2, 3}, {2, 3, 2}}, "bij,bjk->bik");
  add("...ij,...jk", {{2, 2, 3}, {3, 2}}, "bij,jk->bik");
  add("i...->...", {{2, 3, 2}}, "iab->ab");
  add("...i->", {{2, 3}}, "ai->");
  add("a...b->b...a", {{2, 3, 2}}, "acb->bca");
  add("i...i->...", {{2, 3, 2}}, "iai->a");
  add("...,...", {{2, 3}, {3}}, "ab,b->ab");
  add("...ij,...jk->...ik", {{3, 1, 2, 2}, {2, 2, 2}}, "acij,bjk->abik");
  add("ij,ij->i", {{2, 3}, {1, 3}}, "");
  add("ij,jk->ik", {{2, 1}, {3, 2}}, "");
  const auto wrong = [&](std::string equation, std::vector<Shape> shapes, std::string text) {
    row.mistakes.push_back({[=] {
                              TensorList in;
                              for (const Shape& s : shapes) in.push_back(ag::ones(s));
                              return ag::einsum(equation, in);
                            },
                            text});
  };
  wrong("ij,jk->ik", {{2, 3}, {4, 2}},
        "subscript 'j' must have one size, got 3 and 4 (operand 1 is (4, 2))");
  wrong("ij->ik", {{2, 3}}, "subscripts of the result must occur in an operand, got 'k' in \"ik\"");
  wrong("ij->ii", {{2, 3}}, "subscripts of the result must be distinct, got 'i' twice in \"ii\"");
  wrong("ij", {{2, 3}, {2}},
        "the equation must have a term for each operand, got 1 terms in \"ij\" for 2");
  wrong("ijk", {{2, 3}}, "operand 0 must have the 3 axes of \"ijk\", got 2");
  wrong("i", {{2, 3}}, "operand 0 must have the 1 axes of \"i\", got 2");
  wrong("i1", {{2, 3}},
        "subscripts must be letters and at most one \"...\" a term, got '1' in \"i1\"");
  wrong("......", {{2, 3}}, "got '.' in \"......\"");
  wrong("i->j->i", {{2}}, "got '-'");
  wrong("ii", {{2, 1}},
        "a subscript repeated in one operand must have one size, got 'i' in (2, 1)");
  wrong("...i,...i->...", {{2, 3}, {4, 3}}, "subscript '...' must have one size, got 2 and 4");
  wrong("", {}, "needs at least one operand, got none");
  rows.push_back(row);
}

void add_tensordot(std::vector<Row>& rows) {
  Row row{"tensordot", {}};
  const auto by_count = [&](Shape s, Shape t, std::int64_t n, std::string equation) {
    row.samples.push_back({fmt::format("{}, {}, {}", s, t, n),
                           {uniform(s), uniform(t)},
                           [n](auto& x) { return ag::tensordot(x[0], x[1], n); },
                           [equation](auto& x) { return naive_einsum(equation, x); }});
  };
  by_count({2, 3}, {3, 2}, 1, "ij,jk->ik");
  by_count({2, 3}, {2, 3}, 2, "ij,ij->");
  by_count({2, 3}, {2}, 0, "ij,k->ijk");
  by_count({2, 2, 3}, {2, 3, 2}, 2, "aij,ijb->ab");
  by_count({2, 0}, {0, 2}, 1, "ij,jk->ik");
  by_count({}, {2}, 0, ",i->i");
  const auto by_axes = [&](Shape s, Shape t, ag::Axes a, ag::Axes b, std::string equation) {
    row.samples.push_back({fmt::format("{}, {}, axes", s, t),
                           {uniform(s), uniform(t)},
                           [a, b](auto& x) { return ag::tensordot(x[0], x[1], a, b); },
                           [equation](auto& x) { return naive_einsum(equation, x); }});
  };
  by_axes({2, 3}, {3, 2}, {0, 1}, {1, 0}, "ij,ji->");
  by_axes({2, 3, 2}, {2, 4, 3}, {1}, {-1}, "aib,cdi->abcd");
  by_axes({2, 3, 4}, {4, 2, 2}, {-1, 0}, {0, 2}, "iaj,jbi->ab");
  row.mistakes = {{[] {
                     return ag::tensordot(ag::ones({2, 3}), ag::ones({2, 3}), 1);
                   },
                   "tensordot: axes summed together must have one size, got axis 1 of (2, 3) and "
                   "axis 0 of (2, 3)"},
                  {[] { return ag::tensordot(ag::ones({2}), ag::ones({2})); },
                   "the number of axes must be in [0, 1] for (2,) and (2,), got 2"},
                  {[] {
                     return ag::tensordot(ag::ones({2, 2}), ag::ones({2, 2}), {0, 0}, {0, 1});
                   },
                   "axes must be distinct"},
                  {[] {
                     return ag::tensordot(ag::ones({2, 2}), ag::ones({2, 2}), {0, 1}, {0});
                   },
                   "needs as many axes of a as of b, got 2 and 1"}};
  rows.push_back(row);
}

}  // namespace

void add_products(std::vector<Row>& rows) {
  add_simple(rows);
  add_cross_and_trace(rows);
  add_multi_dot(rows);
  add_einsum(rows);
  add_tensordot(rows);
}

const Family products_rows(add_products);

}  // namespace table
