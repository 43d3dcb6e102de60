#include <limits>

#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
constexpr double kInf = std::numeric_limits<double>::infinity();

TensorList outputs(const ag::ValuesAndIndices& r) { return {r.values, r.indices}; }
TensorList outputs(const ag::VarianceAndMean& r) { return {r.var, r.mean}; }

}  // namespace

namespace oracle {

// Reductions, scans, orders.
void add_reductions(std::vector<Row>& rows) {
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
      {"amax", [](T x) { return ag::amax(x); }},
      {"amax axes=0", [](T x) { return ag::amax(x, {0}); }},
      {"amax axes=0 keepdims", [](T x) { return ag::amax(x, {0}, true); }},
      {"amax axes=-1", [](T x) { return ag::amax(x, {-1}); }},
      {"amax axes=-1 keepdims", [](T x) { return ag::amax(x, {-1}, true); }},
      {"amax axes=0,2",
       [](T x) {
         return ag::amax(x, {0, 2});
       }},
      {"amax axes=0,2 keepdims",
       [](T x) {
         return ag::amax(x, {0, 2}, true);
       }},
      {"amin", [](T x) { return ag::amin(x); }},
      {"amin axes=0", [](T x) { return ag::amin(x, {0}); }},
      {"amin axes=0 keepdims", [](T x) { return ag::amin(x, {0}, true); }},
      {"amin axes=-1", [](T x) { return ag::amin(x, {-1}); }},
      {"amin axes=-1 keepdims", [](T x) { return ag::amin(x, {-1}, true); }},
      {"amin axes=0,2",
       [](T x) {
         return ag::amin(x, {0, 2});
       }},
      {"amin axes=0,2 keepdims",
       [](T x) {
         return ag::amin(x, {0, 2}, true);
       }},
      {"std", [](T x) { return ag::std(x); }},
      {"std axes=0", [](T x) { return ag::std(x, {0}); }},
      {"std axes=0 keepdims", [](T x) { return ag::std(x, {0}, true); }},
      {"std axes=-1", [](T x) { return ag::std(x, {-1}); }},
      {"std axes=-1 keepdims", [](T x) { return ag::std(x, {-1}, true); }},
      {"std axes=0,2",
       [](T x) {
         return ag::std(x, {0, 2});
       }},
      {"std axes=0,2 keepdims",
       [](T x) {
         return ag::std(x, {0, 2}, true);
       }},
      {"nansum", [](T x) { return ag::nansum(x); }},
      {"nansum axes=0", [](T x) { return ag::nansum(x, {0}); }},
      {"nansum axes=0 keepdims", [](T x) { return ag::nansum(x, {0}, true); }},
      {"nansum axes=-1", [](T x) { return ag::nansum(x, {-1}); }},
      {"nansum axes=-1 keepdims", [](T x) { return ag::nansum(x, {-1}, true); }},
      {"nansum axes=0,2",
       [](T x) {
         return ag::nansum(x, {0, 2});
       }},
      {"nansum axes=0,2 keepdims",
       [](T x) {
         return ag::nansum(x, {0, 2}, true);
       }},
      {"nanmean", [](T x) { return ag::nanmean(x); }},
      {"nanmean axes=0", [](T x) { return ag::nanmean(x, {0}); }},
      {"nanmean axes=0 keepdims", [](T x) { return ag::nanmean(x, {0}, true); }},
      {"nanmean axes=-1", [](T x) { return ag::nanmean(x, {-1}); }},
      {"nanmean axes=-1 keepdims", [](T x) { return ag::nanmean(x, {-1}, true); }},
      {"nanmean axes=0,2",
       [](T x) {
         return ag::nanmean(x, {0, 2});
       }},
      {"nanmean axes=0,2 keepdims",
       [](T x) {
         return ag::nanmean(x, {0, 2}, true);
       }},
      {"norm", [](T x) { return ag::norm(x); }},
      {"norm axes=0", [](T x) { return ag::norm(x, 2, {0}); }},
      {"norm axes=0 keepdims", [](T x) { return ag::norm(x, 2, {0}, true); }},
      {"norm axes=-1", [](T x) { return ag::norm(x, 2, {-1}); }},
      {"norm axes=-1 keepdims", [](T x) { return ag::norm(x, 2, {-1}, true); }},
      {"norm axes=0,2",
       [](T x) {
         return ag::norm(x, 2, {0, 2});
       }},
      {"norm axes=0,2 keepdims",
       [](T x) {
         return ag::norm(x, 2, {0, 2}, true);
       }},
      {"norm p=0.5", [](T x) { return ag::norm(x, 0.5); }},
      {"norm p=0.5 axes=1", [](T x) { return ag::norm(x, 0.5, {1}); }},
      {"norm p=0.5 axes=1 keepdims", [](T x) { return ag::norm(x, 0.5, {1}, true); }},
      {"norm p=0.5 axes=0,2",
       [](T x) {
         return ag::norm(x, 0.5, {0, 2});
       }},
      {"norm p=0.5 axes=0,2 keepdims",
       [](T x) {
         return ag::norm(x, 0.5, {0, 2}, true);
       }},
      {"norm p=1", [](T x) { return ag::norm(x, 1); }},
      {"norm p=1 axes=1", [](T x) { return ag::norm(x, 1, {1}); }},
      {"norm p=1 axes=1 keepdims", [](T x) { return ag::norm(x, 1, {1}, true); }},
      {"norm p=1 axes=0,2",
       [](T x) {
         return ag::norm(x, 1, {0, 2});
       }},
      {"norm p=1 axes=0,2 keepdims",
       [](T x) {
         return ag::norm(x, 1, {0, 2}, true);
       }},
      {"norm p=3", [](T x) { return ag::norm(x, 3); }},
      {"norm p=3 axes=1", [](T x) { return ag::norm(x, 3, {1}); }},
      {"norm p=3 axes=1 keepdims", [](T x) { return ag::norm(x, 3, {1}, true); }},
      {"norm p=3 axes=0,2",
       [](T x) {
         return ag::norm(x, 3, {0, 2});
       }},
      {"norm p=3 axes=0,2 keepdims",
       [](T x) {
         return ag::norm(x, 3, {0, 2}, true);
       }},
      {"norm p=inf", [](T x) { return ag::norm(x, kInf); }},
      {"norm p=inf axes=1", [](T x) { return ag::norm(x, kInf, {1}); }},
      {"norm p=inf axes=1 keepdims", [](T x) { return ag::norm(x, kInf, {1}, true); }},
      {"norm p=inf axes=0,2",
       [](T x) {
         return ag::norm(x, kInf, {0, 2});
       }},
      {"norm p=inf axes=0,2 keepdims",
       [](T x) {
         return ag::norm(x, kInf, {0, 2}, true);
       }},
      {"norm p=-inf", [](T x) { return ag::norm(x, -kInf); }},
      {"norm p=-inf axes=1", [](T x) { return ag::norm(x, -kInf, {1}); }},
      {"norm p=-inf axes=1 keepdims", [](T x) { return ag::norm(x, -kInf, {1}, true); }},
      {"norm p=-inf axes=0,2",
       [](T x) {
         return ag::norm(x, -kInf, {0, 2});
       }},
      {"norm p=-inf axes=0,2 keepdims",
       [](T x) {
         return ag::norm(x, -kInf, {0, 2}, true);
       }},
      {"norm p=0", [](T x) { return ag::norm(x, 0); }},
      {"norm p=0 axes=1", [](T x) { return ag::norm(x, 0, {1}); }},
      {"norm p=0 axes=1 keepdims", [](T x) { return ag::norm(x, 0, {1}, true); }},
      {"norm p=0 axes=0,2",
       [](T x) {
         return ag::norm(x, 0, {0, 2});
       }},
      {"norm p=0 axes=0,2 keepdims",
       [](T x) {
         return ag::norm(x, 0, {0, 2}, true);
       }},
      {"var_mean", [](T x) { return outputs(ag::var_mean(x)); }},
      {"var_mean axes=0,2",
       [](T x) {
         return outputs(ag::var_mean(x, {0, 2}));
       }},
      {"var_mean axes=0,2 keepdims",
       [](T x) {
         return outputs(ag::var_mean(x, {0, 2}, true));
       }},
      {"norm zero", [](T x) { return ag::norm(x); }},
      {"std correction=0", [](T x) { return ag::std(x, {}, false, 0); }},
      {"nansum missing", [](T x) { return ag::nansum(x, 1); }},
      {"nanmean missing", [](T x) { return ag::nanmean(x, 0); }},
      {"prod", [](T x) { return ag::prod(x, -1); }},
      {"prod axis=0", [](T x) { return ag::prod(x, 0); }},
      {"cumsum", [](T x) { return ag::cumsum(x, -1); }},
      {"cumsum axis=0", [](T x) { return ag::cumsum(x, 0); }},
      {"cumprod", [](T x) { return ag::cumprod(x, -1); }},
      {"cumprod axis=0", [](T x) { return ag::cumprod(x, 0); }},
      {"logcumsumexp", [](T x) { return ag::logcumsumexp(x, -1); }},
      {"logcumsumexp axis=0", [](T x) { return ag::logcumsumexp(x, 0); }},
      {"argmin", [](T x) { return ag::argmin(x, -1); }},
      {"argmin axis=0", [](T x) { return ag::argmin(x, 0); }},
      {"all", [](T x) { return ag::all(x, -1); }},
      {"all axis=0", [](T x) { return ag::all(x, 0); }},
      {"any", [](T x) { return ag::any(x, -1); }},
      {"any axis=0", [](T x) { return ag::any(x, 0); }},
      {"argsort", [](T x) { return ag::argsort(x, -1); }},
      {"argsort axis=0", [](T x) { return ag::argsort(x, 0); }},
      {"median", [](T x) { return ag::median(x, -1); }},
      {"median axis=0", [](T x) { return ag::median(x, 0); }},
      {"sort", [](T x) { return outputs(ag::sort(x, -1)); }},
      {"sort axis=0", [](T x) { return outputs(ag::sort(x, 0)); }},
      {"cummax", [](T x) { return outputs(ag::cummax(x, -1)); }},
      {"cummax axis=0", [](T x) { return outputs(ag::cummax(x, 0)); }},
      {"cummin", [](T x) { return outputs(ag::cummin(x, -1)); }},
      {"cummin axis=0", [](T x) { return outputs(ag::cummin(x, 0)); }},
      {"sort descending", [](T x) { return outputs(ag::sort(x, -1, true)); }},
      {"sort descending axis=0", [](T x) { return outputs(ag::sort(x, 0, true)); }},
      {"argsort descending", [](T x) { return ag::argsort(x, -1, true); }},
      {"argsort descending axis=0", [](T x) { return ag::argsort(x, 0, true); }},
      {"quantile q=0.0", [](T x) { return ag::quantile(x, 0.0, -1); }},
      {"quantile q=0.0 axis=0", [](T x) { return ag::quantile(x, 0.0, 0); }},
      {"quantile q=0.25", [](T x) { return ag::quantile(x, 0.25, -1); }},
      {"quantile q=0.25 axis=0", [](T x) { return ag::quantile(x, 0.25, 0); }},
      {"quantile q=0.6", [](T x) { return ag::quantile(x, 0.6, -1); }},
      {"quantile q=0.6 axis=0", [](T x) { return ag::quantile(x, 0.6, 0); }},
      {"quantile q=1.0", [](T x) { return ag::quantile(x, 1.0, -1); }},
      {"quantile q=1.0 axis=0", [](T x) { return ag::quantile(x, 1.0, 0); }},
      {"prod whole", [](T x) { return ag::prod(x); }},
      {"prod axis=1 keepdims", [](T x) { return ag::prod(x, 1, true); }},
      {"argmin nan", [](T x) { return ag::argmin(x, 0); }},
      {"all whole", [](T x) { return ag::all(x); }},
      {"any whole", [](T x) { return ag::any(x); }},
      {"median whole", [](T x) { return ag::median(x); }},
      {"median axes=0,2",
       [](T x) {
         return ag::median(x, {0, 2});
       }},
      {"topk k=2", [](T x) { return outputs(ag::topk(x, 2)); }},
      {"topk k=2 axis=0", [](T x) { return outputs(ag::topk(x, 2, 0)); }},
      {"topk k=2 smallest", [](T x) { return outputs(ag::topk(x, 2, -1, false)); }},
      {"quantile several", [](T x, T q) { return ag::quantile(x, q, 1); }},
      {"kthvalue k=2", [](T x) { return outputs(ag::kthvalue(x, 2)); }},
      {"kthvalue k=3 axis=0", [](T x) { return outputs(ag::kthvalue(x, 3, 0)); }},
      {"count_nonzero", [](T x) { return ag::count_nonzero(x); }},
      {"count_nonzero axes=1", [](T x) { return ag::count_nonzero(x, 1); }},
      {"searchsorted", [](T s, T v) { return ag::searchsorted(s, v); }},
      {"searchsorted right", [](T s, T v) { return ag::searchsorted(s, v, true); }},
      {"bincount", [](T x) { return ag::bincount(x); }},
      {"bincount weights", [](T x, T w) { return ag::bincount(x, w, 7); }},
      {"diff", [](T x) { return ag::diff(x); }},
      {"diff n=2 axis=0", [](T x) { return ag::diff(x, 2, 0); }},
      {"trapezoid dx=0.5", [](T x) { return ag::trapezoid(x, 0.5); }},
      {"trapezoid", [](T y, T x) { return ag::trapezoid(y, x); }},
      {"normalize", [](T x) { return ag::normalize(x); }},
      {"normalize p=3 axis=-1", [](T x) { return ag::normalize(x, 3, -1); }},
      {"cosine_similarity", [](T a, T b) { return ag::cosine_similarity(a, b); }},
      {"cov", [](T x) { return ag::cov(x); }},
      {"cov correction=0", [](T x) { return ag::cov(x, 0); }},
      {"corrcoef", [](T x) { return ag::corrcoef(x); }},
      {"quantile q=0.37 lower",
       [](T x) { return ag::quantile(x, 0.37, 1, false, ag::Interpolation::lower); }},
      {"quantile q=0.37 higher",
       [](T x) { return ag::quantile(x, 0.37, 1, false, ag::Interpolation::higher); }},
      {"quantile q=0.37 midpoint",
       [](T x) { return ag::quantile(x, 0.37, 1, false, ag::Interpolation::midpoint); }},
      {"quantile q=0.37 nearest",
       [](T x) { return ag::quantile(x, 0.37, 1, false, ag::Interpolation::nearest); }},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases reductions_cases(add_reductions);

}  // namespace oracle
