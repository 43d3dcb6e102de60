#include "tests/nn/oracle/oracle.hpp"

namespace oracle {

// Operations that move or pick elements.
void add_movement(std::vector<Row>& rows) {
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
      {"unflatten",
       [](T x) {
         return ag::unflatten(x, 1, {2, -1});
       }},
      {"ravel", [](T x) { return ag::ravel(x); }},
      {"swapaxes", [](T x) { return ag::swapaxes(x, 0, -1); }},
      {"movedim",
       [](T x) {
         return ag::movedim(x, {0, 1}, {-1, 0});
       }},
      {"broadcast_to",
       [](T x) {
         return ag::broadcast_to(x, {2, 3, 4});
       }},
      {"broadcast_tensors", [](const TensorList& x) { return ag::broadcast_tensors(x); }},
      {"vstack", [](const TensorList& x) { return ag::vstack(x); }},
      {"hstack", [](const TensorList& x) { return ag::hstack(x); }},
      {"split",
       [](T x) {
         return ag::split(x, {1, 3, 2}, 1);
       }},
      {"split size=2", [](T x) { return ag::split(x, 2); }},
      {"chunk", [](T x) { return ag::chunk(x, 3, 1); }},
      {"unbind", [](T x) { return ag::unbind(x); }},
      {"unbind axis=1", [](T x) { return ag::unbind(x, 1); }},
      {"repeat",
       [](T x) {
         return ag::repeat(x, {2, 1, 3});
       }},
      {"tile", [](T x) { return ag::tile(x, {3}); }},
      {"repeat_interleave", [](T x) { return ag::repeat_interleave(x, 2); }},
      {"repeat_interleave axis=1", [](T x) { return ag::repeat_interleave(x, 3, 1); }},
      {"flip", [](T x) { return ag::flip(x); }},
      {"flip axes=-1", [](T x) { return ag::flip(x, -1); }},
      {"roll", [](T x) { return ag::roll(x, 2); }},
      {"roll axes=0,1",
       [](T x) {
         return ag::roll(x, {1, -2}, {0, 1});
       }},
      {"rot90", [](T x) { return ag::rot90(x); }},
      {"rot90 k=2 axes=1,2",
       [](T x) {
         return ag::rot90(x, 2, {1, 2});
       }},
      {"pad",
       [](T x) {
         return ag::pad(x, {1, 2, 0, 1}, ag::PadMode::constant, 1.5);
       }},
      {"pad negative",
       [](T x) {
         return ag::pad(x, {-1, 2});
       }},
      {"pad mode=reflect",
       [](T x) {
         return ag::pad(x, {2, 1}, ag::PadMode::reflect);
       }},
      {"pad two axes mode=reflect",
       [](T x) {
         return ag::pad(x, {2, 1, 1, 2}, ag::PadMode::reflect);
       }},
      {"pad mode=replicate",
       [](T x) {
         return ag::pad(x, {2, 1}, ag::PadMode::replicate);
       }},
      {"pad two axes mode=replicate",
       [](T x) {
         return ag::pad(x, {2, 1, 1, 2}, ag::PadMode::replicate);
       }},
      {"pad mode=circular",
       [](T x) {
         return ag::pad(x, {2, 1}, ag::PadMode::circular);
       }},
      {"pad two axes mode=circular",
       [](T x) {
         return ag::pad(x, {2, 1, 1, 2}, ag::PadMode::circular);
       }},
      {"diagonal", [](T x) { return ag::diagonal(x); }},
      {"diagonal offset=-1 axes=0,2", [](T x) { return ag::diagonal(x, -1, 0, 2); }},
      {"diag_embed", [](T x) { return ag::diag_embed(x); }},
      {"diag_embed offset=1", [](T x) { return ag::diag_embed(x, 1); }},
      {"diag", [](T x) { return ag::diag(x); }},
      {"diag offset=-1", [](T x) { return ag::diag(x, -1); }},
      {"tril", [](T x) { return ag::tril(x); }},
      {"tril diagonal=1", [](T x) { return ag::tril(x, 1); }},
      {"triu", [](T x) { return ag::triu(x); }},
      {"triu diagonal=-1", [](T x) { return ag::triu(x, -1); }},
      {"unfold", [](T x) { return ag::unfold(x, 1, 3, 2); }},
      {"meshgrid", [](const TensorList& x) { return ag::meshgrid(x); }},
      {"meshgrid xy", [](const TensorList& x) { return ag::meshgrid(x, ag::MeshIndexing::xy); }},
      {"masked_select", [](T x, T m) { return ag::masked_select(x, m); }},
      {"masked_fill", [](T x, T m) { return ag::masked_fill(x, m, 1.5); }},
      {"take_along_axis", [](T x, T i) { return ag::take_along_axis(x, i, 1); }},
      {"scatter", [](T x, T i, T s) { return ag::scatter(x, 1, i, s); }},
      {"scatter value", [](T x, T i) { return ag::scatter(x, 1, i, 1.5); }},
      {"scatter_add", [](T x, T i, T s) { return ag::scatter_add(x, 1, i, s); }},
      {"index_add", [](T x, T i, T s) { return ag::index_add(x, 0, i, s); }},
      {"from_rows",
       [](T i, T x) {
         return ag::from_rows({5, 2}, i, x);
       }},
      {"one_hot", [](T i) { return ag::one_hot(i, 4); }},
      {"take", [](T x, T i) { return ag::take(x, i); }},
      {"index_fill", [](T x, T i) { return ag::index_fill(x, 1, i, 1.5); }},
      {"index_fill value", [](T x, T i, T v) { return ag::index_fill(x, 0, i, v); }},
      {"masked_fill value", [](T x, T m, T v) { return ag::masked_fill(x, m, v); }},
      {"nonzero", [](T x) { return ag::nonzero(x); }},
      {"index rows", [](T x) { return x[1]; }},
      {"index columns",
       [](T x) {
         return x[{ag::indexing::all, ag::indexing::slice(1, 3)}];
       }},
      {"index step",
       [](T x) {
         return x[{ag::indexing::slice(1, ag::indexing::none, 2), -1}];
       }},
      {"index newaxis",
       [](T x) {
         return x[{ag::indexing::ellipsis, ag::indexing::newaxis, 0}];
       }},
      {"index tensor", [](T x, T i) { return x[{i}]; }},
      {"index mask", [](T x, T m) { return x[{m}]; }},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases movement_cases(add_movement);

}  // namespace oracle
