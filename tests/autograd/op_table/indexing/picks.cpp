#include <algorithm>
#include <cmath>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

const Tensor grid = ag::tensor({{0, 2, 1}, {2, -1, 0}});
const Tensor mask = ag::tensor({{1, 0, 1}, {0, 1, 0}}).to(ag::boolean);

std::int64_t wrapped(const Tensor& index, const Place& place, std::int64_t n) {
  std::int64_t at = 0;
  for (std::size_t d = 0; d < place.size(); ++d) at = at * index.shape()[d] + place[d];
  const std::int64_t i = index.data<std::int64_t>()[at];
  return i < 0 ? i + n : i;
}

// x with every element of `source` (leading part, as the index) put along an axis in order.
auto scattered(const Tensor& index, std::size_t axis, bool add) {
  return [=](const TensorList& in) {
    auto out = in[0].to_vector<double>();
    const Shape& s = in[0].shape();
    for (std::int64_t i = 0; i < index.shape()[0]; ++i)
      for (std::int64_t j = 0; j < index.shape()[1]; ++j) {
        Place place{i, j};
        place[axis] = wrapped(index, {i, j}, s[axis]);
        auto& to = out[static_cast<std::size_t>(place[0] * s[1] + place[1])];
        to = (add ? to : 0) + element(in[1], {i, j});
      }
    return out;
  };
}

void add_scatter(std::vector<Row>& rows) {
  using ag::scatter, ag::scatter_add;
  const Tensor one_place = ag::tensor({{1, 1, 1}, {1, -3, 1}});
  rows.push_back(
      {"scatter",
       {{"(2, 4), 1",
         {draw({2, 4}, -1, 1), draw({2, 3}, -1, 1)},
         [=](auto& in) { return scatter(in[0], 1, grid, in[1]); },
         scattered(grid, 1, false)},
        {"repeated places",
         {draw({2, 4}, -1, 1), draw({2, 3}, -1, 1)},
         [=](auto& in) { return scatter(in[0], 1, one_place, in[1]); },
         scattered(one_place, 1, false)},
        {"(3, 3), 0, a larger source",
         {draw({3, 3}, -1, 1), draw({3, 4}, -1, 1)},
         [=](auto& in) { return scatter(in[0], -2, grid, in[1]); },
         scattered(grid, 0, false)},
        one("(2, 4), a number", draw({2, 4}, -1, 1),
            [=](auto& x) { return scatter(x, 1, grid, 2); }),
        {"()",
         {draw({}, -1, 1), draw({}, -1, 1)},
         [](auto& in) { return scatter(in[0], 0, ag::full({}, 0, ag::int64), in[1]); }},
        one("no index", draw({2}, -1, 1),
            [](auto& x) { return scatter(x, 0, ag::zeros({0}, ag::int64), x); })},
       {{[=] {
           return scatter(ag::ones({2, 4}), 1, grid, ag::ones({2, 2}));
         },
         "the source must be at least as large as the index on each axis, got (2, 2) for (2, 3)"},
        {[=] {
           return scatter(ag::ones({2, 2}), 1, grid, 0);
         },
         "scatter: indices must be in [-2, 1] for axis 1 of (2, 2), got 2"},
        {[=] {
           return scatter(ag::ones({2, 4}), 1, grid, ag::ones({2, 3}, ag::float64));
         },
         "scatter: dtypes must match"},
        {[=] {
           return scatter(ag::zeros({2, 4}, ag::int64), 1, grid, 0.5);
         },
         "must be representable"}}});
  rows.push_back({"scatter_add",
                  {{"(2, 4), 1",
                    {draw({2, 4}, -1, 1), draw({2, 3}, -1, 1)},
                    [=](auto& in) { return scatter_add(in[0], 1, one_place, in[1]); },
                    scattered(one_place, 1, true)},
                   {"(3, 3), 0, a larger source",
                    {draw({3, 3}, -1, 1), draw({3, 4}, -1, 1)},
                    [=](auto& in) { return scatter_add(in[0], 0, grid, in[1]); },
                    scattered(grid, 0, true)}},
                  {{[=] {
                      return scatter_add(ag::ones({2, 4}), 1, grid, ag::ones({3}));
                    },
                    "scatter_add: the source must be at least as large"},
                   {[=] {
                      return scatter_add(ag::ones({2}), 0, grid, ag::ones({2, 3}));
                    },
                    "the index must have the rank of the tensor"}}});
}

void add_rows(std::vector<Row>& rows) {
  using ag::index_add, ag::index_fill, ag::take, ag::take_along_axis;
  const Tensor picks = ag::tensor({2, 0, 2, -1});
  rows.push_back(
      {"take",
       {{"(2, 4), (2, 3)",
         {draw({2, 4}, -1, 1)},
         [](auto& in) { return take(in[0], grid); },
         loop({2, 3},
              [](auto& p, auto& in) {
                const auto k = wrapped(grid, p, 8);
                return element(in[0], {k / 4, k % 4});
              })},
        one("(), 0-d", draw({}, -1, 1),
            [](auto& x) { return take(x, ag::full({}, -1, ag::int64)); })},
       {{[] {
           return take(ag::ones({2, 2}), ag::tensor({4}));
         },
         "take: indices must be in [-4, 3] for axis 0 of (4,), got 4"},
        {[] { return take(ag::ones({2}), ag::ones({1})); }, "the index must be int64"}}});
  rows.push_back({"take_along_axis",
                  {{"(2, 4), (2, 3), -1",
                    {draw({2, 4}, -1, 1)},
                    [](auto& in) { return take_along_axis(in[0], grid); },
                    loop({2, 3},
                         [](auto& p, auto& in) {
                           return element(in[0], {p[0], wrapped(grid, p, 4)});
                         })},
                   {"(1, 4, 3), (2, 3, 1), 1",
                    {draw({1, 4, 3}, -1, 1)},
                    [](auto& in) { return take_along_axis(in[0], ag::unsqueeze(grid, 2), 1); },
                    loop({2, 3, 3},
                         [](auto& p, auto& in) {
                           return element(in[0], {0, wrapped(grid, {p[0], p[1]}, 4), p[2]});
                         })},
                   one("()", draw({}, -1, 1),
                       [](auto& x) { return take_along_axis(x, ag::full({}, 0, ag::int64)); })},
                  {{[] { return take_along_axis(ag::ones({4}), grid); },
                    "the index must have the rank of the tensor, got (2, 3) for (4,)"},
                   {[] {
                      return take_along_axis(ag::ones({3, 4}), grid);
                    },
                    "take_along_axis: shapes must broadcast"}}});
  rows.push_back(
      {"index_add",
       {{"(3, 2), 0, alpha 2",
         {draw({3, 2}, -1, 1), draw({4, 2}, -1, 1)},
         [=](auto& in) { return index_add(in[0], 0, picks, in[1], 2); },
         loop({3, 2},
              [=](auto& p, auto& in) {
                double sum = element(in[0], p);
                for (std::int64_t k = 0; k < 4; ++k)
                  if (wrapped(picks, {k}, 3) == p[0]) sum += 2 * element(in[1], {k, p[1]});
                return sum;
              })},
        {"(2, 3), -1",
         {draw({2, 3}, -1, 1), draw({2, 4}, -1, 1)},
         [=](auto& in) { return index_add(in[0], -1, picks, in[1]); }}},
       {{[=] {
           return index_add(ag::ones({3, 2}), 0, picks, ag::ones({3, 2}));
         },
         "index_add: the source must have shape (4, 2), got (3, 2)"},
        {[=] { return index_add(ag::ones({}), 0, picks, ag::ones({4})); }, "got a 0-d tensor"}}});
  rows.push_back({"index_fill",
                  {{"(3, 2), 0",
                    {draw({3, 2}, -1, 1), draw({}, -1, 1)},
                    [=](auto& in) { return index_fill(in[0], 0, picks, in[1]); },
                    loop({3, 2},
                         [](auto& p, auto& in) {
                           return element(in[p[0] == 1 ? 0 : 1], p[0] == 1 ? p : Place{});
                         })},
                   one("(2, 3), 1, a number", draw({2, 3}, -1, 1),
                       [=](auto& x) { return index_fill(x, 1, picks, 0.5); })},
                  {{[=] { return index_fill(ag::ones({2}), 0, picks, 1); },
                    "index_fill: indices must be in [-2, 1] for axis 0 of (2,), got 2"}}});
}

void add_masks(std::vector<Row>& rows) {
  using ag::masked_fill, ag::masked_select, ag::nonzero, ag::one_hot;
  rows.push_back(
      {"masked_select",
       {{"(2, 3)",
         {draw({2, 3}, -1, 1)},
         [](auto& in) { return masked_select(in[0], mask); },
         [](auto& in) -> std::vector<double> {
           return {element(in[0], {0, 0}), element(in[0], {0, 2}), element(in[0], {1, 1})};
         }},
        one("(3), broadcast", draw({3}, -1, 1), [](auto& x) { return masked_select(x, mask); }),
        one("()", draw({}, -1, 1),
            [](auto& x) { return masked_select(x, ag::full({}, 1, ag::boolean)); }),
        one("nothing", draw({2}, -1, 1),
            [](auto& x) { return masked_select(x, ag::full({}, 0, ag::boolean)); })},
       {{[] { return masked_select(ag::ones({2}), ag::ones({2})); },
         "masked_select: the mask must be bool, got float32"},
        {[] { return masked_select(ag::ones({2}), mask); },
         "masked_select: shapes must broadcast"}}});
  rows.push_back(
      {"masked_fill",
       {{"(2, 3)",
         {draw({2, 3}, -1, 1), draw({}, -1, 1)},
         [](auto& in) { return masked_fill(in[0], mask, in[1]); },
         loop({2, 3},
              [](auto& p, auto& in) {
                return (p[0] + p[1]) % 2 ? element(in[0], p) : element(in[1], {});
              })},
        one("(3), broadcast, a number", draw({3}, -1, 1),
            [](auto& x) { return masked_fill(x, mask, 7); })},
       {{[] {
           return masked_fill(ag::ones({2, 3}), mask, ag::ones({1}));
         },
         "the value must be 0-d, got shape (1,)"},
        {[] { return masked_fill(ag::ones({2}), ag::ones({2}), 0); }, "the mask must be bool"}}});
  const std::vector<double> places{0, 0, 0, 2, 1, 1};
  rows.push_back({"nonzero",
                  {{"(2, 3)",
                    {mask},
                    [](auto& in) { return nonzero(in[0]).to(ag::float64); },
                    [=](auto&) { return places; }},
                   one("()", draw({}, 1, 2), nonzero),
                   one("(0, 2)", draw({0, 2}, 1, 2), nonzero)},
                  {},
                  false});
  rows.push_back(
      {"one_hot",
       {{"(2, 3), 4",
         {ag::abs(grid)},
         [](auto& in) { return one_hot(in[0], 4).to(ag::float64); },
         loop({2, 3, 4},
              [](auto& p, auto&) {
                return std::abs(static_cast<double>(grid.data<std::int64_t>()[3 * p[0] + p[1]])) ==
                               static_cast<double>(p[2])
                           ? 1.0
                           : 0.0;
              })},
        {"(), 3", {ag::tensor(2)}, [](auto& in) { return one_hot(in[0]); }},
        {"(0), 3", {ag::zeros({0}, ag::int64)}, [](auto& in) { return one_hot(in[0], 3); }}},
       {{[] {
           return one_hot(ag::tensor({0, 3}), 3);
         },
         "one_hot: labels must be in [0, 3), got 3"},
        {[] {
           return one_hot(ag::tensor({0, -1}));
         },
         "got -1"},
        {[] { return one_hot(ag::zeros({0}, ag::int64)); }, "classes must be given for no labels"},
        {[] { return one_hot(ag::ones({2})); }, "labels must be int64, got float32"}},
       false});
}

}  // namespace

void add_picks(std::vector<Row>& rows) {
  add_scatter(rows);
  add_rows(rows);
  add_masks(rows);
}

const Family picks_rows(add_picks);

}  // namespace table
