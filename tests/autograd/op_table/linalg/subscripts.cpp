#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;
using namespace ag::indexing;

namespace table {
namespace {

// x[{…}] with the loop for its value: which element of x each place shows.
Sample part(std::string text, const Shape& from, const Shape& to,
            std::function<Tensor(const Tensor&)> f, std::function<Place(const Place&)> source) {
  Sample s = one(std::move(text), draw(from, -1, 1), std::move(f));
  s.naive =
      loop(to, [=](const Place& p, const TensorList& in) { return element(in[0], source(p)); });
  return s;
}

std::vector<Sample> basic() {
  return {part(
              "0:5:2, :, None, -1", {6, 2, 3}, {3, 2, 1},
              [](auto& x) {
                return x[{slice(0, 5, 2), all, newaxis, -1}];
              },
              [](auto& p) {
                return Place{2 * p[0], p[1], 2};
              }),
          part(
              "..., ::-1", {2, 3, 4}, {2, 3, 4},
              [](auto& x) {
                return x[{ellipsis, slice(none, none, -1)}];
              },
              [](auto& p) {
                return Place{p[0], p[1], 3 - p[2]};
              }),
          part(
              "-1", {3, 2}, {2}, [](auto& x) { return x[{-1}]; },
              [](auto& p) {
                return Place{2, p[0]};
              }),
          part(
              "0 without braces", {3, 2}, {2}, [](auto& x) { return x[0]; },
              [](auto& p) {
                return Place{0, p[0]};
              }),
          part(
              "-2:, 1:-1", {4, 5}, {2, 3},
              [](auto& x) {
                return x[{slice(-2, none), slice(1, -1)}];
              },
              [](auto& p) {
                return Place{p[0] + 2, p[1] + 1};
              }),
          part(
              "4:0:-3, 9::-2", {6, 4}, {2, 2},
              [](auto& x) {
                return x[{slice(4, 0, -3), slice(9, none, -2)}];
              },
              [](auto& p) {
                return Place{4 - 3 * p[0], 3 - 2 * p[1]};
              }),
          part(
              "None, ..., None, 1", {2, 3}, {1, 2, 1},
              [](auto& x) {
                return x[{newaxis, ellipsis, newaxis, 1}];
              },
              [](auto& p) {
                return Place{p[1], 1};
              }),
          one("1, 2", draw({2, 3}, -1, 1),
              [](auto& x) {
                return x[{1, 2}];
              }),
          one("5:2, of nothing", draw({6, 2}, -1, 1), [](auto& x) { return x[{slice(5, 2)}]; }),
          one("... of ()", draw({}, -1, 1), [](auto& x) { return x[{ellipsis}]; }),
          one("None of ()", draw({}, -1, 1), [](auto& x) { return x[{newaxis}]; }),
          one("huge bounds", draw({3}, -1, 1), [](auto& x) {
            return x[{slice(INT64_MIN, INT64_MAX, INT64_MAX)}] + x[{slice(none, none, INT64_MIN)}];
          })};
}

std::vector<Sample> advanced() {
  const Tensor rows = ag::tensor({2, 0, 2}), grid = ag::tensor({{0, 1}, {-1, 0}});
  const Tensor chosen = ag::tensor({1, 0, 1, 1}).to(ag::boolean);
  const Tensor square = ag::tensor({{1, 0, 1}, {0, 1, 0}}).to(ag::boolean);
  auto row = [](std::int64_t i) { return std::int64_t{i == 1 ? 0 : 2}; };
  auto cell = [](std::int64_t i, std::int64_t j) { return std::int64_t{i == j ? 0 : 1}; };
  return {
      part(
          "index", {3, 2}, {3, 2}, [=](auto& x) { return x[{rows}]; },
          [=](auto& p) {
            return Place{row(p[0]), p[1]};
          }),
      part(
          "-1, :, index of two axes", {2, 3, 2}, {3, 2, 2},
          [=](auto& x) {
            return x[{-1, all, grid}];
          },
          [=](auto& p) {
            return Place{1, p[0], cell(p[1], p[2])};
          }),
      part(
          ":, index, index", {2, 3, 2}, {2, 2, 3},
          [=](auto& x) {
            return x[{all, rows, ag::unsqueeze(ag::arange(2), 1)}];
          },
          [=](auto& p) {
            return Place{p[0], row(p[2]), p[1]};
          }),
      part(
          "index, :, index", {2, 3, 2}, {2, 2, 3},
          [=](auto& x) {
            return x[{grid, all, ag::full({}, 1, ag::int64)}];
          },
          [=](auto& p) {
            return Place{cell(p[0], p[1]), p[2], 1};
          }),
      part(
          "mask without braces", {4, 2}, {3, 2}, [=](auto& x) { return x[chosen]; },
          [](auto& p) {
            return Place{p[0] == 0 ? 0 : p[0] + 1, p[1]};
          }),
      part(
          "mask of two axes, ::-1", {2, 3, 2}, {3, 2},
          [=](auto& x) {
            return x[{square, slice(none, none, -1)}];
          },
          [](auto& p) {
            return Place{p[0] == 2 ? 1 : 0, p[0] == 2 ? 1 : 2 * p[0], 1 - p[1]};
          }),
      part(
          "None, ..., mask", {2, 4}, {1, 2, 3},
          [=](auto& x) {
            return x[{newaxis, ellipsis, chosen}];
          },
          [](auto& p) {
            return Place{p[1], p[2] == 0 ? 0 : p[2] + 1};
          }),
      part(
          "mask, index", {4, 3}, {3},
          [=](auto& x) {
            return x[{chosen, rows}];
          },
          [=](auto& p) {
            return Place{p[0] == 0 ? 0 : p[0] + 1, row(p[0])};
          }),
      one("empty index", draw({3, 2}, -1, 1),
          [](auto& x) {
            return x[{all, ag::zeros({0}, ag::int64)}];
          }),
      one("0-d index", draw({3, 2}, -1, 1), [](auto& x) { return x[ag::full({}, 1, ag::int64)]; })};
}

// index_put by a loop: where each element of the value goes, in order.
Sample put(std::string text, const Shape& x, const Shape& v, bool accumulate,
           std::function<Tensor(const TensorList&)> f, const Shape& part,
           std::function<Place(const Place&)> target) {
  Sample s{std::move(text), {draw(x, -1, 1), draw(v, -1, 1)}, std::move(f)};
  s.naive = [=](const TensorList& in) {
    auto out = in[0].to_vector<double>();
    const auto value = ag::expand(in[1], part).to_vector<double>();
    std::size_t k = 0;
    loop(part, [&](const Place& p, const TensorList&) {
      std::size_t at = 0;
      const Place to = target(p);
      for (std::size_t d = 0; d < to.size(); ++d) at = at * x[d] + to[d];
      out[at] = accumulate ? out[at] + value[k] : value[k];
      ++k;
      return 0.0;
    })({});
    return out;
  };
  return s;
}

void add_index_put(std::vector<Row>& rows) {
  const Tensor picks = ag::tensor({2, 0, -1}), columns = ag::tensor({1, 1, 1});
  const Tensor square = ag::tensor({{1, 0, 1}, {0, 1, 0}}).to(ag::boolean);
  auto row = [](std::int64_t i) { return std::int64_t{i == 1 ? 0 : 2}; };
  Row r{"index_put", {}};
  for (const bool add : {false, true}) {
    const std::string how = add ? ", added" : "";
    r.samples.push_back(put(
        "0" + how, {3, 2}, {2}, add,
        [=](auto& in) { return ag::index_put(in[0], {0}, in[1], add); }, {2},
        [](auto& p) {
          return Place{0, p[0]};
        }));
    r.samples.push_back(put(
        "::-1, 1, a number" + how, {3, 2}, {}, add,
        [=](auto& in) {
          return ag::index_put(in[0], {slice(none, none, -1), 1}, in[1], add);
        },
        {3},
        [](auto& p) {
          return Place{2 - p[0], 1};
        }));
    r.samples.push_back(put(
        "index, repeated" + how, {3, 2}, {3, 2}, add,
        [=](auto& in) { return ag::index_put(in[0], {picks}, in[1], add); }, {3, 2},
        [=](auto& p) {
          return Place{row(p[0]), p[1]};
        }));
    r.samples.push_back(put(
        ":, index, a row" + how, {2, 3, 2}, {2}, add,
        [=](auto& in) {
          return ag::index_put(in[0], {all, picks}, in[1], add);
        },
        {2, 3, 2},
        [=](auto& p) {
          return Place{p[0], row(p[1]), p[2]};
        }));
    r.samples.push_back(put(
        "index, 1:, None, index" + how, {3, 3, 2}, {3, 2, 1}, add,
        [=](auto& in) {
          return ag::index_put(in[0], {picks, slice(1, none), newaxis, columns}, in[1], add);
        },
        {3, 2, 1},
        [=](auto& p) {
          return Place{row(p[0]), p[1] + 1, 1};
        }));
    r.samples.push_back(put(
        "mask of two axes" + how, {2, 3, 2}, {3, 2}, add,
        [=](auto& in) { return ag::index_put(in[0], {square}, in[1], add); }, {3, 2},
        [](auto& p) {
          return Place{p[0] == 2 ? 1 : 0, p[0] == 2 ? 1 : 2 * p[0], p[1]};
        }));
  }
  r.samples.push_back({"... of ()", {draw({}, -1, 1), draw({}, -1, 1)}, [](auto& in) {
                         return ag::index_put(in[0], {ellipsis}, in[1]);
                       }});
  r.samples.push_back({"nothing", {draw({3}, -1, 1), draw({0}, -1, 1)}, [](auto& in) {
                         return ag::index_put(in[0], {slice(5, 9)}, in[1]);
                       }});
  r.mistakes = {
      {[] { return ag::index_put(ag::ones({3}), {0}, ag::ones({2})); },
       "index_put: the shape must broadcast to (), got (2,)"},
      {[] { return ag::index_put(ag::ones({3}), {0}, ag::ones({}, ag::float64)); },
       "index_put: dtypes must match, got float64 and float32"},
      {[] { return ag::index_put(ag::ones({3}), {3}, 1); }, "the index must be in [-3, 2]"},
      {[] { return ag::index_put(ag::zeros({3}, ag::int64), {0}, 0.5); }, "must be representable"}};
  rows.push_back(r);
}

}  // namespace

void add_subscripts(std::vector<Row>& rows) {
  add_index_put(rows);
  const Tensor x = ag::ones({2, 3});
  rows.push_back({"x[{slices}]",
                  basic(),
                  {{[=] {
                      return x[{1, 3}];
                    },
                    "index: the index must be in [-3, 2] for axis 1 of (2, 3), got 3"},
                   {[=] {
                      return x[{newaxis, ellipsis, -4}];
                    },
                    "the index must be in [-3, 2] for axis 1 of (2, 3), got -4"},
                   {[=] {
                      return x[{0, all, 0}];
                    },
                    "the entries must stand for at most the 2 axes of (2, 3), got entries for 3"},
                   {[=] {
                      return x[{ellipsis, ellipsis}];
                    },
                    "needs at most one ellipsis, got 2"},
                   {[=] { return x[{slice(0, 1, 0)}]; }, "index: the step must not be 0"},
                   {[=] { return ag::ones({})[0]; },
                    "the entries must stand for at most the 0 axes of (), got entries for 1"}}});
  rows.push_back({"x[{tensors}]",
                  advanced(),
                  {{[=] {
                      return x[{all, ag::tensor({0, 3})}];
                    },
                    "index: indices must be in [-3, 2] for axis 1 of (2, 3), got 3"},
                   {[=] { return x[x]; }, "an index must be int64 or bool, got float32"},
                   {[=] { return x[x[0] > 0]; },
                    "a mask must have the sizes of its axes, got (3,) from axis 0 on of (2, 3)"},
                   {[=] { return x[ag::tensor(true)]; }, "a mask must have an axis"},
                   {[=] {
                      return x[{ag::tensor({0, 1}), ag::tensor({0, 1, 2})}];
                    },
                    "index: shapes must broadcast"},
                   {[=] { return x[Tensor()]; }, "the tensor must be defined"}}});
}

const Family subscripts_rows(add_subscripts);

}  // namespace table
