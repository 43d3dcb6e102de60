#include "tests/nn/oracle.hpp"

// Reductions, movement, indexing, products.
void oracle::add_shaping(std::vector<Row>& rows) {
  const std::vector<Row> table{
      {"sum", [](T x) { return ag::sum(x); }},
      {"sum axes=0", [](T x) { return ag::sum(x, {0}); }},
      {"sum axes=0 keepdims", [](T x) { return ag::sum(x, {0}, true); }},
      {"sum axes=-1", [](T x) { return ag::sum(x, {-1}); }},
      {"sum axes=-1 keepdims", [](T x) { return ag::sum(x, {-1}, true); }},
      {"sum axes=0,2",
       [](T x) {
         return ag::sum(x, {0, 2});
       }},
      {"sum axes=0,2 keepdims",
       [](T x) {
         return ag::sum(x, {0, 2}, true);
       }},
      {"mean", [](T x) { return ag::mean(x); }},
      {"mean axes=0", [](T x) { return ag::mean(x, {0}); }},
      {"mean axes=0 keepdims", [](T x) { return ag::mean(x, {0}, true); }},
      {"mean axes=-1", [](T x) { return ag::mean(x, {-1}); }},
      {"mean axes=-1 keepdims", [](T x) { return ag::mean(x, {-1}, true); }},
      {"mean axes=0,2",
       [](T x) {
         return ag::mean(x, {0, 2});
       }},
      {"mean axes=0,2 keepdims",
       [](T x) {
         return ag::mean(x, {0, 2}, true);
       }},
      {"max", [](T x) { return ag::max(x); }},
      {"max axes=0", [](T x) { return ag::max(x, {0}); }},
      {"max axes=0 keepdims", [](T x) { return ag::max(x, {0}, true); }},
      {"max axes=-1", [](T x) { return ag::max(x, {-1}); }},
      {"max axes=-1 keepdims", [](T x) { return ag::max(x, {-1}, true); }},
      {"max axes=0,2",
       [](T x) {
         return ag::max(x, {0, 2});
       }},
      {"max axes=0,2 keepdims",
       [](T x) {
         return ag::max(x, {0, 2}, true);
       }},
      {"min", [](T x) { return ag::min(x); }},
      {"min axes=0", [](T x) { return ag::min(x, {0}); }},
      {"min axes=0 keepdims", [](T x) { return ag::min(x, {0}, true); }},
      {"min axes=-1", [](T x) { return ag::min(x, {-1}); }},
      {"min axes=-1 keepdims", [](T x) { return ag::min(x, {-1}, true); }},
      {"min axes=0,2",
       [](T x) {
         return ag::min(x, {0, 2});
       }},
      {"min axes=0,2 keepdims",
       [](T x) {
         return ag::min(x, {0, 2}, true);
       }},
      {"var", [](T x) { return ag::var(x); }},
      {"var axes=0", [](T x) { return ag::var(x, {0}); }},
      {"var axes=0 keepdims", [](T x) { return ag::var(x, {0}, true); }},
      {"var axes=-1", [](T x) { return ag::var(x, {-1}); }},
      {"var axes=-1 keepdims", [](T x) { return ag::var(x, {-1}, true); }},
      {"var axes=0,2",
       [](T x) {
         return ag::var(x, {0, 2});
       }},
      {"var axes=0,2 keepdims",
       [](T x) {
         return ag::var(x, {0, 2}, true);
       }},
      {"logsumexp", [](T x) { return ag::logsumexp(x); }},
      {"logsumexp axes=0", [](T x) { return ag::logsumexp(x, {0}); }},
      {"logsumexp axes=0 keepdims", [](T x) { return ag::logsumexp(x, {0}, true); }},
      {"logsumexp axes=-1", [](T x) { return ag::logsumexp(x, {-1}); }},
      {"logsumexp axes=-1 keepdims", [](T x) { return ag::logsumexp(x, {-1}, true); }},
      {"logsumexp axes=0,2",
       [](T x) {
         return ag::logsumexp(x, {0, 2});
       }},
      {"logsumexp axes=0,2 keepdims",
       [](T x) {
         return ag::logsumexp(x, {0, 2}, true);
       }},
      {"sum 0-d", [](T x) { return ag::sum(x); }},
      {"sum empty", [](T x) { return ag::sum(x, 1); }},
      {"sum int64", [](T x) { return ag::sum(x); }},
      {"mean empty", [](T x) { return ag::mean(x, 1); }},
      {"max ties", [](T x) { return ag::max(x, 1); }},
      {"min ties", [](T x) { return ag::min(x, 1); }},
      {"max nan", [](T x) { return ag::max(x); }},
      {"max int64", [](T x) { return ag::max(x, 0); }},
      {"var correction=0", [](T x) { return ag::var(x, {}, false, 0); }},
      {"var correction=2 axes=1", [](T x) { return ag::var(x, 1, false, 2); }},
      {"var of one", [](T x) { return ag::var(x, 1); }},
      {"logsumexp infinite", [](T x) { return ag::logsumexp(x, 0); }},
      {"logsumexp large", [](T x) { return ag::logsumexp(x, 0); }},
      {"logsumexp empty", [](T x) { return ag::logsumexp(x, 1); }},
      {"argmax axis=0", [](T x) { return ag::argmax(x, 0); }},
      {"argmax keepdims", [](T x) { return ag::argmax(x, -1, true); }},
      {"argmax nan", [](T x) { return ag::argmax(x, 0); }},
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
      {"matmul", ag::matmul},
      {"linear", [](T x, T w, T b) { return ag::linear(x, w, b); }},
      {"linear without bias", [](T x, T w) { return ag::linear(x, w); }},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}
