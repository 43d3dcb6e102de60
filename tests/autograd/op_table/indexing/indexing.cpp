#include "tests/autograd/op_table/op_table.hpp"

#include <fmt/format.h>
#include <limits>

namespace ag = autograd;

namespace table {
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
                    "indices must be in [-3, 2] for axis 0 of (3,), got 3"},
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
  const Tensor places = ag::tensor({3, 0, 3});
  const auto table = loop({5, 2}, [=](const Place& at, const TensorList& in) {
    double sum = 0;
    for (std::int64_t i = 0; i < 3; ++i)
      if (places.data<std::int64_t>()[i] == at[0]) sum += element(in[0], {i, at[1]});
    return sum;
  });
  Sample repeated = one("(3, 2) into (5, 2)", draw({3, 2}, -1, 1), [=](auto& x) {
    return ag::from_rows({5, 2}, places, x);
  });
  repeated.naive = table;
  rows.push_back({"from_rows",
                  {repeated,
                   one("(3) into (4)", draw({3}, -1, 1),
                       [=](auto& x) { return ag::from_rows({4}, places, x); }),
                   one("(3, 2, 1) into (7, 2, 1)", draw({3, 2, 1}, -1, 1),
                       [=](auto& x) {
                         return ag::from_rows({7, 2, 1}, places, x);
                       }),
                   one("(0, 2) into (3, 2)", draw({0, 2}, -1, 1),
                       [](auto& x) {
                         return ag::from_rows({3, 2}, ag::zeros({0}, ag::int64), x);
                       })},
                  {{[=] {
                      return ag::from_rows({3, 2}, places, ag::ones({3, 2}));
                    },
                    "indices must be in [0, 2] for axis 0 of (3, 2), got 3"},
                   {[=] {
                      return ag::from_rows({5, 2}, places, ag::ones({3}));
                    },
                    "values must have shape (3, 2), got (3,)"}}});
}

const Family indexing_rows(add_indexing);

}  // namespace table
