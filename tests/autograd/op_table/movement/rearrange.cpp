#include <algorithm>

#include "tests/autograd/op_table/op_table.hpp"

namespace ag = autograd;

namespace table {
namespace {

// A sample on one tensor, with the loop for its value: which element of x each place shows, or
// none (an empty place of a tensor with axes: 0).
Sample moved(std::string text, const Shape& from, const Shape& to,
             std::function<Tensor(const Tensor&)> f, std::function<Place(const Place&)> source) {
  Sample s = one(std::move(text), draw(from, -1, 1), std::move(f));
  s.naive = loop(to, [=](const Place& place, const TensorList& in) {
    const Place p = source(place);
    return p.size() == from.size() ? element(in[0], p) : 0.0;
  });
  return s;
}

const Place none{-1, -1, -1, -1, -1};

// Several results as one tensor in which each has a weight of its own.
Tensor weighed(const TensorList& pieces) {
  TensorList flat;
  for (const Tensor& t : pieces)
    flat.push_back(ag::flatten(t) * static_cast<double>(flat.size() + 1));
  return ag::concat(flat);
}

void add_repeats(std::vector<Row>& rows) {
  using ag::repeat, ag::tile, ag::repeat_interleave;
  rows.push_back(
      {"repeat",
       {moved(
            "(2, 3), 2 2", {2, 3}, {4, 6},
            [](auto& x) {
              return repeat(x, {2, 2});
            },
            [](auto& p) {
              return Place{p[0] % 2, p[1] % 3};
            }),
        moved(
            "(3), 2 1 3", {3}, {2, 1, 9},
            [](auto& x) {
              return repeat(x, {2, 1, 3});
            },
            [](auto& p) { return Place{p[2] % 3}; }),
        one("(), none", draw({}, -1, 1), [](auto& x) { return repeat(x, {}); }),
        one("(2), 0", draw({2}, -1, 1), [](auto& x) { return repeat(x, {0}); })},
       {{[] {
           return repeat(ag::ones({2, 3}), {2});
         },
         "repeat: needs a number for each axis of (2, 3), got (2,)"},
        {[] { return repeat(ag::ones({2}), {-1}); }, "repeats must be at least 0"},
        {[] { return repeat(ag::ones({2}), {std::int64_t{1} << 62}); }, "must fit in 63 bits"}}});
  rows.push_back(
      {"tile",
       {moved(
            "(2, 3), 2", {2, 3}, {2, 6}, [](auto& x) { return tile(x, {2}); },
            [](auto& p) {
              return Place{p[0], p[1] % 3};
            }),
        one("(0, 2), 2 1", draw({0, 2}, -1, 1),
            [](auto& x) {
              return tile(x, {2, 1});
            })},
       {{[] { return tile(ag::ones({2}), {-1}); }, "tile: repeats must be at least 0"}}});
  rows.push_back(
      {"repeat_interleave",
       {moved(
            "(2, 3), 2, axis 0", {2, 3}, {4, 3}, [](auto& x) { return repeat_interleave(x, 2, 0); },
            [](auto& p) {
              return Place{p[0] / 2, p[1]};
            }),
        moved(
            "(2, 3), 2, axis -1", {2, 3}, {2, 6},
            [](auto& x) { return repeat_interleave(x, 2, -1); },
            [](auto& p) {
              return Place{p[0], p[1] / 2};
            }),
        moved(
            "(2, 2), 3", {2, 2}, {12}, [](auto& x) { return repeat_interleave(x, 3); },
            [](auto& p) {
              return Place{p[0] / 6, p[0] / 3 % 2};
            }),
        one("(), 2", draw({}, -1, 1), [](auto& x) { return repeat_interleave(x, 2); }),
        one("(2), 0", draw({2}, -1, 1), [](auto& x) { return repeat_interleave(x, 0); })},
       {{[] { return repeat_interleave(ag::ones({2}), -1); }, "repeats must be at least 0"},
        {[] { return repeat_interleave(ag::ones({2}), 1, 1); }, "axis must be in [-1, 0]"}}});
}

void add_turns(std::vector<Row>& rows) {
  using ag::flip, ag::roll, ag::rot90;
  rows.push_back({"flip",
                  {moved(
                       "(2, 3)", {2, 3}, {2, 3}, [](auto& x) { return flip(x); },
                       [](auto& p) {
                         return Place{1 - p[0], 2 - p[1]};
                       }),
                   moved(
                       "(2, 3, 4), 0 -1", {2, 3, 4}, {2, 3, 4},
                       [](auto& x) {
                         return flip(x, {0, -1});
                       },
                       [](auto& p) {
                         return Place{1 - p[0], p[1], 3 - p[2]};
                       }),
                   moved(
                       "(3, 2), 0", {3, 2}, {3, 2}, [](auto& x) { return flip(x, 0); },
                       [](auto& p) {
                         return Place{2 - p[0], p[1]};
                       }),
                   one("()", draw({}, -1, 1), [](auto& x) { return flip(x); }),
                   one("(0, 2)", draw({0, 2}, -1, 1), [](auto& x) { return flip(x); })},
                  {{[] {
                      return flip(ag::ones({2}), {0, 0});
                    },
                    "flip: axes must be distinct"}}});
  rows.push_back({"roll",
                  {moved(
                       "(2, 3), 2", {2, 3}, {2, 3}, [](auto& x) { return roll(x, 2); },
                       [](auto& p) {
                         const auto k = (3 * p[0] + p[1] + 4) % 6;
                         return Place{k / 3, k % 3};
                       }),
                   moved(
                       "(3, 4), -1 6, axes 0 1", {3, 4}, {3, 4},
                       [](auto& x) {
                         return roll(x, {-1, 6}, {0, 1});
                       },
                       [](auto& p) {
                         return Place{(p[0] + 1) % 3, (p[1] + 2) % 4};
                       }),
                   moved(
                       "(5), 1 1, axes 0 0", {5}, {5},
                       [](auto& x) {
                         return roll(x, {1, 1}, {0, 0});
                       },
                       [](auto& p) { return Place{(p[0] + 3) % 5}; }),
                   one("(), 3", draw({}, -1, 1), [](auto& x) { return roll(x, 3); }),
                   one("(0, 2), 1 1", draw({0, 2}, -1, 1),
                       [](auto& x) {
                         return roll(x, {1, 1}, {0, 1});
                       })},
                  {{[] {
                      return roll(ag::ones({2, 2}), {1, 2});
                    },
                    "needs one shift without axes, got 2"},
                   {[] {
                      return roll(ag::ones({2, 2}), {1, 2}, 0);
                    },
                    "needs one shift for each axis, got 2 shifts and 1 axes"},
                   {[] { return roll(ag::ones({}), 1, 0); }, "got a 0-d tensor"}}});
  rows.push_back({"rot90",
                  {moved(
                       "(2, 3)", {2, 3}, {3, 2}, [](auto& x) { return rot90(x); },
                       [](auto& p) {
                         return Place{p[1], 2 - p[0]};
                       }),
                   moved(
                       "(2, 3), 2", {2, 3}, {2, 3}, [](auto& x) { return rot90(x, 2); },
                       [](auto& p) {
                         return Place{1 - p[0], 2 - p[1]};
                       }),
                   moved(
                       "(2, 3, 2), -1, axes 1 2", {2, 3, 2}, {2, 2, 3},
                       [](auto& x) {
                         return rot90(x, -1, {1, 2});
                       },
                       [](auto& p) {
                         return Place{p[0], 2 - p[2], p[1]};
                       }),
                   one("(0, 2), 5", draw({0, 2}, -1, 1), [](auto& x) { return rot90(x, 5); })},
                  {{[] { return rot90(ag::ones({2})); }, "the tensor must have two axes"},
                   {[] {
                      return rot90(ag::ones({2, 2}), 1, {0, -2});
                    },
                    "the two axes must differ"},
                   {[] {
                      return rot90(ag::ones({2, 2}), 1, 0);
                    },
                    "needs two axes, got 1"}}});
}

void add_pad(std::vector<Row>& rows) {
  using ag::pad, ag::PadMode;
  auto mirrored = [](std::int64_t i, std::int64_t n) {
    return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
  };
  auto shown = [](bool inside, Place p) { return inside ? p : none; };
  Row row{"pad",
          {moved(
               "(2, 3), 1 2", {2, 3}, {2, 6},
               [](auto& x) {
                 return pad(x, {1, 2});
               },
               [=](auto& p) {
                 return shown(p[1] >= 1 && p[1] < 4, {p[0], p[1] - 1});
               }),
           moved(
               "(2, 3), -1 1 2 -1", {2, 3}, {3, 3},
               [](auto& x) {
                 return pad(x, {-1, 1, 2, -1});
               },
               [=](auto& p) {
                 return shown(p[0] >= 2 && p[1] < 2, {p[0] - 2, p[1] + 1});
               }),
           one("(3), -2 4 past the end", draw({2}, -1, 1),
               [](auto& x) {
                 return pad(x, {-3, 4}, PadMode::constant, 1.5);
               }),
           moved(
               "(2, 3, 4), reflect 3 2 1 2 1 0", {2, 3, 4}, {3, 6, 9},
               [](auto& x) {
                 return pad(x, {3, 2, 1, 2, 1, 0}, PadMode::reflect);
               },
               [=](auto& p) {
                 return Place{mirrored(p[0] - 1, 2), mirrored(p[1] - 1, 3), mirrored(p[2] - 3, 4)};
               }),
           moved(
               "(2, 3), replicate 5 2 0 4", {2, 3}, {6, 10},
               [](auto& x) {
                 return pad(x, {5, 2, 0, 4}, PadMode::replicate);
               },
               [](auto& p) {
                 return Place{std::min<std::int64_t>(p[0], 1),
                              std::clamp<std::int64_t>(p[1] - 5, 0, 2)};
               }),
           moved(
               "(2, 3), circular 3 2 1 1", {2, 3}, {4, 8},
               [](auto& x) {
                 return pad(x, {3, 2, 1, 1}, PadMode::circular);
               },
               [](auto& p) {
                 return Place{(p[0] + 1) % 2, p[1] % 3};
               }),
           one("(), none", draw({}, -1, 1), [](auto& x) { return pad(x, {}); }),
           one("(0, 2), 1 0 2 1", draw({0, 2}, -1, 1),
               [](auto& x) {
                 return pad(x, {1, 0, 2, 1});
               }),
           one("(0, 2), reflect 1 0", draw({0, 2}, -1, 1), [](auto& x) {
             return pad(x, {1, 0}, PadMode::reflect);
           })}};
  row.mistakes = {{[] { return pad(ag::ones({2}), 1); },
                   "needs two widths for each of at most 1 axes of (2,), got 1"},
                  {[] {
                     return pad(ag::ones({2}), {1, 1, 1, 1});
                   },
                   "got 4"},
                  {[] {
                     return pad(ag::ones({2}), {-2, -1});
                   },
                   "sizes must be at least 0"},
                  {[] {
                     return pad(ag::ones({2, 3}), {0, 3}, PadMode::reflect);
                   },
                   "widths must be less than the axis in mode reflect, got 3 for axis 1 of (2, 3)"},
                  {[] {
                     return pad(ag::ones({2, 3}), {4, 0}, PadMode::circular);
                   },
                   "widths must be at most the axis in mode circular, got 4"},
                  {[] {
                     return pad(ag::ones({0}), {1, 0}, PadMode::replicate);
                   },
                   "the axis must not be empty in mode replicate, got axis 0 of (0,)"},
                  {[] {
                     return pad(ag::ones({3}), {-1, 0}, PadMode::circular);
                   },
                   "widths must be at least 0 in mode circular"},
                  {[] {
                     return pad(ag::zeros({3}, ag::int64), {1, 0}, PadMode::constant, 0.5);
                   },
                   "must be representable"}};
  rows.push_back(std::move(row));
}

void add_diagonals(std::vector<Row>& rows) {
  using ag::diag, ag::diag_embed, ag::diagonal, ag::tril, ag::triu;
  rows.push_back({"diagonal",
                  {moved(
                       "(3, 4)", {3, 4}, {3}, [](auto& x) { return diagonal(x); },
                       [](auto& p) {
                         return Place{p[0], p[0]};
                       }),
                   moved(
                       "(2, 3, 4), -1, axes -1 0", {2, 3, 4}, {3, 2},
                       [](auto& x) { return diagonal(x, -1, -1, 0); },
                       [](auto& p) {
                         return Place{p[1], p[0], p[1] + 1};
                       }),
                   one("(3, 4), 9", draw({3, 4}, -1, 1), [](auto& x) { return diagonal(x, 9); }),
                   one("(0, 4)", draw({0, 4}, -1, 1), [](auto& x) { return diagonal(x); })},
                  {{[] { return diagonal(ag::ones({3})); }, "the tensor must have two axes"},
                   {[] {
                      return diagonal(ag::ones({3, 3}), 0, 1, -1);
                    },
                    "the two axes must differ, got 1 and -1"}}});
  rows.push_back({"diag_embed",
                  {moved(
                       "(2, 3), 1", {2, 3}, {2, 4, 4}, [](auto& x) { return diag_embed(x, 1); },
                       [](auto& p) {
                         return p[2] == p[1] + 1 ? Place{p[0], p[1]} : none;
                       }),
                   moved(
                       "(2, 3), -1, axes 0 -1", {2, 3}, {4, 2, 4},
                       [](auto& x) { return diag_embed(x, -1, 0, -1); },
                       [](auto& p) {
                         return p[0] == p[2] + 1 ? Place{p[1], p[2]} : none;
                       }),
                   one("(0)", draw({0}, -1, 1), [](auto& x) { return diag_embed(x, 2); })},
                  {{[] { return diag_embed(ag::ones({})); }, "got a 0-d tensor"},
                   {[] { return diag_embed(ag::ones({2}), 0, 1, 1); }, "the two axes must differ"},
                   {[] { return diag_embed(ag::ones({2}), std::int64_t{1} << 40); },
                    "the offset must be within"}}});
  rows.push_back({"diag",
                  {moved(
                       "(3), -1", {3}, {4, 4}, [](auto& x) { return diag(x, -1); },
                       [](auto& p) {
                         return p[0] == p[1] + 1 ? Place{p[1]} : Place{0, 0};
                       }),
                   moved(
                       "(3, 4), 1", {3, 4}, {3}, [](auto& x) { return diag(x, 1); },
                       [](auto& p) {
                         return Place{p[0], p[0] + 1};
                       })},
                  {{[] {
                      return diag(ag::ones({1, 2, 3}));
                    },
                    "the tensor must have one or two axes, got shape (1, 2, 3)"}}});
  auto triangle = [](const char* name, auto f, auto keeps) {
    Row row{
        name,
        {one("(2, 0)", draw({2, 0}, -1, 1), [=](auto& x) { return f(x, 0); })},
        {{[=] { return f(ag::ones({3}), 0); }, "the tensor must have two axes, got shape (3,)"}}};
    for (const std::int64_t d : {0, 1, -1, 9, -9})
      row.samples.push_back(moved(
          "(2, 3, 4), " + std::to_string(d), {2, 3, 4}, {2, 3, 4}, [=](auto& x) { return f(x, d); },
          [=](auto& p) { return keeps(p[2] - p[1], d) ? p : none; }));
    return row;
  };
  rows.push_back(triangle("tril", tril, std::less_equal<std::int64_t>()));
  rows.push_back(triangle("triu", triu, std::greater_equal<std::int64_t>()));
}

void add_cuts(std::vector<Row>& rows) {
  using ag::chunk, ag::split, ag::unbind, ag::unfold;
  const Tensor x = draw({5, 2}, -1, 1);
  auto weights = [](std::int64_t size, std::size_t axis, const Shape& shape) {
    return loop(shape, [=](const Place& p, const TensorList& in) {
      return element(in[0], p) * static_cast<double>(p[axis] / size + 1);
    });
  };
  rows.push_back(
      {"split",
       {{"(5, 2), 2",
         {x},
         [](auto& in) { return weighed(split(in[0], 2)); },
         weights(2, 0, {5, 2})},
        one("(5, 2), sizes 1 0 4", x,
            [](auto& t) {
              return weighed(split(t, {1, 0, 4}));
            }),
        one("(2, 5), sizes 5, axis -1", draw({2, 5}, -1, 1),
            [](auto& t) { return split(t, {5}, -1)[0]; }),
        one("one of three pieces", x, [](auto& t) { return split(t, 2)[1]; }),
        one("(0, 2), 3", draw({0, 2}, -1, 1), [](auto& t) { return split(t, 3)[0]; })},
       {{[] { return split(ag::ones({4}), 0)[0]; }, "split: the size must be at least 1, got 0"},
        {[] {
           return split(ag::ones({4}), {1, 2})[0];
         },
         "sizes must be at least 0 and add up to axis 0 of (4,), got (1, 2)"},
        {[] {
           return split(ag::ones({4}), {5, -1})[0];
         },
         "sizes must be at least 0"},
        {[] { return split(ag::ones({}), 1)[0]; }, "got a 0-d tensor"}}});
  rows.push_back(
      {"chunk",
       {{"(5, 2), 3",
         {x},
         [](auto& in) { return weighed(chunk(in[0], 3)); },
         weights(2, 0, {5, 2})},
        one("(5, 2), 9", x, [](auto& t) { return weighed(chunk(t, 9)); })},
       {{[] { return chunk(ag::ones({4}), 0)[0]; }, "needs at least one chunk, got 0"}}});
  rows.push_back(
      {"unbind",
       {{"(5, 2)", {x}, [](auto& in) { return weighed(unbind(in[0])); }, weights(1, 0, {5, 2})},
        one("(5, 2), axis 1", x, [](auto& t) { return weighed(unbind(t, -1)); }),
        one("(3)", draw({3}, -1, 1), [](auto& t) { return unbind(t)[2]; })},
       {{[] { return unbind(ag::ones({}))[0]; }, "unbind: the tensor must have an axis"},
        {[] { return unbind(ag::ones({2}), 1)[0]; }, "axis must be in [-1, 0]"}}});
  rows.push_back(
      {"unfold",
       {moved(
            "(7), 0, 3, 2", {7}, {3, 3}, [](auto& t) { return unfold(t, 0, 3, 2); },
            [](auto& p) { return Place{2 * p[0] + p[1]}; }),
        moved(
            "(2, 7, 2), 1, 2, 3", {2, 7, 2}, {2, 2, 2, 2},
            [](auto& t) { return unfold(t, -2, 2, 3); },
            [](auto& p) {
              return Place{p[0], 3 * p[1] + p[3], p[2]};
            }),
        one("(4), 0, 0, 1", draw({4}, -1, 1), [](auto& t) { return unfold(t, 0, 0, 1); })},
       {{[] { return unfold(ag::ones({4}), 0, 5, 1); },
         "needs 0 <= size <= 4 for axis 0 of (4,) and step > 0, got size 5 and step 1"},
        {[] { return unfold(ag::ones({4}), 0, 2, 0); }, "and step 0"},
        {[] { return unfold(ag::ones({}), 0, 0, 1); }, "got a 0-d tensor"}}});
  auto grid = [](ag::MeshIndexing indexing) {
    return [=](const TensorList& in) { return ag::stack(ag::meshgrid(in, indexing)); };
  };
  const TensorList sides{draw({2}, -1, 1), draw({3}, -1, 1), draw({}, -1, 1)};
  rows.push_back({"meshgrid",
                  {{"(2), (3), ()", sides, grid(ag::MeshIndexing::ij),
                    loop({3, 2, 3, 1},
                         [](const Place& p, const TensorList& in) {
                           return in[static_cast<std::size_t>(p[0])]
                               .data<double>()[p[static_cast<std::size_t>(p[0]) + 1]];
                         })},
                   {"(2), (3), (), xy", sides, grid(ag::MeshIndexing::xy),
                    loop({3, 3, 2, 1},
                         [](const Place& p, const TensorList& in) {
                           const std::size_t axis[] = {2, 1, 3}, k = static_cast<std::size_t>(p[0]);
                           return in[k].data<double>()[p[axis[k]]];
                         })},
                   {"(4), xy", {draw({4}, -1, 1)}, grid(ag::MeshIndexing::xy)}},
                  {{[] { return ag::meshgrid({})[0]; }, "needs at least one tensor"},
                   {[] {
                      return ag::meshgrid({ag::ones({2, 2})})[0];
                    },
                    "tensors must have at most one axis, got shape (2, 2)"}}});
}

}  // namespace

void add_rearrange(std::vector<Row>& rows) {
  add_repeats(rows);
  add_turns(rows);
  add_pad(rows);
  add_diagonals(rows);
  add_cuts(rows);
}

const Family rearrange_rows(add_rearrange);

}  // namespace table
