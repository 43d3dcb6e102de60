#include "tests/nn/oracle.hpp"

// Reductions, scans, orders.
void oracle::add_reductions(std::vector<Row>& rows) {
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
  };
  rows.insert(rows.end(), table.begin(), table.end());
}
