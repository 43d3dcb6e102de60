#include "autograd/ops/reductions/counts.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/operation.hpp"

namespace autograd {
namespace {

using Range = std::pair<double, double>;

void check(std::string_view op, const Tensor& x) {
  internal::check_defined(op, x);
  internal::check_floating(op, x);
}

// The outer edges: as given, or those of the elements, `apart` from equal ones.
Range range_of(std::string_view op, const Tensor& x, const std::optional<Range>& given,
               double apart) {
  Range range{0, 1};
  if (given)
    range = *given;
  else if (x.numel() > 0)
    range = {min(x.detach()).item(), max(x.detach()).item()};
  if (!(std::isfinite(range.first) && std::isfinite(range.second) && range.first <= range.second))
    fail(op, "the range must be finite and ascend, got [{}, {}]", range.first, range.second);
  if (range.first == range.second) range = {range.first - apart, range.second + apart};
  return range;
}

Tensor edges_of(std::string_view op, const Tensor& x, std::int64_t bins, const Range& range) {
  if (bins < 1 || bins >= std::int64_t{1} << 31)
    fail(op, "the number of bins must be in [1, 2^31), got {}", bins);
  return linspace(range.first, range.second, bins + 1, x.dtype());
}

// Edges as they are: looked at in each run, as a replay has others.
struct Edges {
  std::string_view name() const { return "histogram"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* e = in[0].data<T>();
      for (std::int64_t i = 1; i < in[0].numel(); ++i)
        if (!(e[i - 1] <= e[i]))
          fail(name(), "edges must ascend, got {} before {}", e[i - 1], e[i]);
      std::copy_n(e, in[0].numel(), out.mutable_data<T>());
    });
  }
};

// The sum of the weights in each bin.
Tensor in_bins(const Tensor& x, const Tensor& edges, const Tensor& weight) {
  const std::int64_t bins = edges.size(0) - 1;
  const Tensor flat = flatten(x.detach());
  const Tensor first = select(edges, 0, 0), last = select(edges, 0, bins);
  // The last edge belongs to the last bin.
  const Tensor place =
      minimum(searchsorted(edges, flat, true), full({}, static_cast<double>(bins), int64)) - 1;
  const Tensor inside = (flat >= first) & (flat <= last);
  return scatter_add_zeros({bins}, 0, where(inside, place, zeros({}, int64)),
                           where(inside, weight, 0.0));
}

Histogram counted(const Tensor& x, const Tensor& edges, const HistogramOptions& options) {
  const Tensor weight = options.weight.defined() ? options.weight : ones(x.shape(), x.dtype());
  internal::check_same_dtype("histogram", x, weight);
  if (weight.shape() != x.shape())
    fail("histogram", "needs one weight for each element, got {} for {}", weight.shape(),
         x.shape());
  const Tensor counts = in_bins(x, edges, flatten(weight));
  return {options.density ? counts / (sum(counts) * diff(edges)) : counts, edges};
}

}  // namespace

UniqueElements unique(const Tensor& x) {
  const detail::Named as("unique");
  internal::check_defined("unique", x);
  const auto [sorted, order] = sort(flatten(x.detach()), 0);
  const std::int64_t n = sorted.size(0);
  Tensor first = ones({n}, boolean);  // of equal ones
  if (n > 1)
    first = concat(
        {narrow(first, 0, 0, 1), narrow(sorted, 0, 1, n - 1) != narrow(sorted, 0, 0, n - 1)});
  const Tensor group = cumsum(first, 0) - 1;
  return {index_select(sorted, 0, flatten(nonzero(first))),
          reshape(scatter(zeros({n}, int64), 0, order, group), x.shape()), bincount(group)};
}

Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool right) {
  const detail::Named as("bucketize");
  internal::check_defined("bucketize", x);
  internal::check_defined("bucketize", boundaries, 1);
  if (boundaries.ndim() != 1)
    fail("bucketize", "the boundaries must have one axis, got shape {}", boundaries.shape());
  return searchsorted(boundaries, x, right);
}

Histogram histogram(const Tensor& x, std::int64_t bins, const HistogramOptions& options) {
  const detail::Named as("histogram");
  check("histogram", x);
  const Range range = range_of("histogram", x, options.range, 0.5);
  return counted(x, edges_of("histogram", x, bins, range), options);
}

Histogram histogram(const Tensor& x, const Tensor& edges, const HistogramOptions& options) {
  const detail::Named as("histogram");
  check("histogram", x);
  internal::check_defined("histogram", edges, 1);
  internal::check_same_dtype("histogram", x, edges);
  if (edges.ndim() != 1 || edges.size(0) < 2)
    fail("histogram", "edges must have one axis of at least 2, got shape {}", edges.shape());
  if (options.range) fail("histogram", "a range is for a number of bins, got edges");
  return counted(x, apply(Edges{}, edges.detach()), options);
}

Tensor histc(const Tensor& x, std::int64_t bins, double min, double max) {
  const detail::Named as("histc");
  check("histc", x);
  const Range range =
      range_of("histc", x, min == max ? std::nullopt : std::optional(Range{min, max}), 1);
  return in_bins(x, edges_of("histc", x, bins, range), ones({x.numel()}, x.dtype()));
}

}  // namespace autograd
