#include "tests/autograd/op_table/op_table.hpp"

#include <fmt/format.h>

namespace ag = autograd;

namespace table {
void add_movement(std::vector<Row>& rows) {
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
  rows.push_back({"unflatten",
                  {one("(2, 6), 1, 3 2", draw({2, 6}, -1, 1),
                       [](auto& x) {
                         return ag::unflatten(x, 1, {3, 2});
                       }),
                   one("(6, 2), -2, 2 -1", draw({6, 2}, -1, 1),
                       [](auto& x) {
                         return ag::unflatten(x, -2, {2, -1});
                       }),
                   one("(0), 0, 0 3", draw({0}, -1, 1),
                       [](auto& x) {
                         return ag::unflatten(x, 0, {0, 3});
                       })},
                  {{[] {
                      return ag::unflatten(ag::ones({6}), 0, {4, -1});
                    },
                    "sizes must multiply to axis 0 of (6,), with at most one -1, got (4, -1)"},
                   {[] {
                      return ag::unflatten(ag::ones({6}), 0, {-1, -1});
                    },
                    "with at most one -1"},
                   {[] {
                      return ag::unflatten(ag::ones({6}), 0, {-2, -3});
                    },
                    "sizes must multiply"},
                   {[] { return ag::unflatten(ag::ones({}), 0, {1}); }, "got a 0-d tensor"}}});
  rows.push_back({"ravel",
                  {one("(2, 3)", draw({2, 3}, -1, 1), [](auto& x) { return ag::ravel(x); }),
                   one("()", draw({}, -1, 1), [](auto& x) { return ag::ravel(x); })}});
  rows.push_back({"swapaxes", {one("(2, 3, 4), 0, -1", draw({2, 3, 4}, -1, 1), [](auto& x) {
                    return ag::swapaxes(x, 0, -1);
                  })}});
  rows.push_back({"movedim",
                  {{"(2, 3, 4), 0 to 2",
                    {draw({2, 3, 4}, -1, 1)},
                    [](auto& in) { return ag::movedim(in[0], 0, 2); },
                    loop({3, 4, 2},
                         [](auto& p, auto& in) {
                           return element(in[0], {p[2], p[0], p[1]});
                         })},
                   {"(2, 3, 4), -1 0 to 0 1",
                    {draw({2, 3, 4}, -1, 1)},
                    [](auto& in) {
                      return ag::movedim(in[0], {-1, 0}, {0, 1});
                    },
                    loop({4, 2, 3},
                         [](auto& p, auto& in) {
                           return element(in[0], {p[1], p[2], p[0]});
                         })},
                   one("()", draw({}, -1, 1), [](auto& x) { return ag::movedim(x, {}, {}); })},
                  {{[] {
                      return ag::movedim(ag::ones({2, 3}), {0, 1}, {1});
                    },
                    "needs as many sources as destinations, got 2 and 1"},
                   {[] {
                      return ag::movedim(ag::ones({2, 3}), {0, 0}, {0, 1});
                    },
                    "must be distinct"}}});
  rows.push_back({"broadcast_to", {one("(3) to (2, 3)", draw({3}, -1, 1), [](auto& x) {
                    return ag::broadcast_to(x, {2, 3});
                  })}});
  rows.push_back({"broadcast_tensors",
                  {{"(2, 1), (3), ()",
                    {draw({2, 1}, -1, 1), draw({3}, -1, 1), draw({}, -1, 1)},
                    [](auto& x) { return ag::stack(ag::broadcast_tensors(x)); }}},
                  {{[] {
                      return ag::broadcast_tensors({ag::ones({2}), ag::ones({3})})[0];
                    },
                    "broadcast_tensors: shapes must broadcast"}}});
  rows.push_back({"vstack",
                  {{"(), (1)", {draw({}, -1, 1), draw({1}, -1, 1)}, ag::vstack},
                   {"(3), (2, 3)", {draw({3}, -1, 1), draw({2, 3}, -1, 1)}, ag::vstack}},
                  {{[] { return ag::vstack({}); }, "needs at least one tensor"}}});
  rows.push_back({"hstack",
                  {{"(), (2)", {draw({}, -1, 1), draw({2}, -1, 1)}, ag::hstack},
                   {"(2, 1), (2, 3)", {draw({2, 1}, -1, 1), draw({2, 3}, -1, 1)}, ag::hstack}},
                  {{[] { return ag::hstack({}); }, "needs at least one tensor"}}});
}

const Family movement_rows(add_movement);

}  // namespace table
