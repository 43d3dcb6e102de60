#include "tests/nn/oracle.hpp"

// Operations that move or pick elements.
void oracle::add_movement(std::vector<Row>& rows) {
  const std::vector<Row> table{
      {"reshape",
       [](T x) {
         return ag::reshape(x, {4, -1});
       }},
      {"flatten", [](T x) { return ag::flatten(x); }},
      {"flatten start=1", [](T x) { return ag::flatten(x, 1); }},
      {"squeeze", [](T x) { return ag::squeeze(x); }},
      {"squeeze axes=0", [](T x) { return ag::squeeze(x, 0); }},
      {"unsqueeze axis=-1", [](T x) { return ag::unsqueeze(x, -1); }},
      {"unsqueeze axis=1", [](T x) { return ag::unsqueeze(x, 1); }},
      {"permute order=2,0,1",
       [](T x) {
         return ag::permute(x, {2, 0, 1});
       }},
      {"transpose", [](T x) { return ag::transpose(x); }},
      {"transpose 0 1", [](T x) { return ag::transpose(x, 0, 1); }},
      {"expand",
       [](T x) {
         return ag::expand(x, {2, 3, -1});
       }},
      {"sum_to",
       [](T x) {
         return ag::sum_to(x, {3, 1});
       }},
      {"concat axis=1", [](const TensorList& x) { return ag::concat(x, 1); }},
      {"concat", [](const TensorList& x) { return ag::concat(x); }},
      {"stack axis=-1", [](const TensorList& x) { return ag::stack(x, -1); }},
      {"stack", [](const TensorList& x) { return ag::stack(x); }},
      {"narrow", [](T x) { return ag::narrow(x, 1, 1, 2); }},
      {"slice", [](T x) { return ag::slice(x, 1, 1, -1); }},
      {"slice step=2", [](T x) { return ag::slice(x, 0, 1, 6, 2); }},
      {"select", [](T x) { return ag::select(x, 1, -2); }},
      {"index_select", [](T x, T i) { return ag::index_select(x, 1, i); }},
      {"gather axis=0", [](T x, T i) { return ag::gather(x, 0, i); }},
      {"gather axis=-1", [](T x, T i) { return ag::gather(x, -1, i); }},
      {"scatter_add_zeros",
       [](T i, T x) {
         return ag::scatter_add_zeros({3, 4}, 0, i, x);
       }},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}
