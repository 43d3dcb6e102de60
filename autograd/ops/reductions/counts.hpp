#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Elements in bins, and those that differ.
namespace autograd {

/// The elements of x that differ, in ascending order, the place of each element of x among them
/// (of x's shape), and how often each stands in x (both int64).
struct UniqueElements {
  Tensor values, inverse, counts;
};
/// For every dtype; no gradient. Each NaN is one of its own, and last; of -0 and 0 the first in x
/// stays.
UniqueElements unique(const Tensor& x);

/// The bin of each element of x between ascending boundaries (1-d, of x's dtype), as int64: how
/// many of them are less than it, or with `right` not greater.
Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool right = false);

/// Options of `histogram`.
struct HistogramOptions {
  /// The outer edges; none: the smallest and the largest element (0 and 1 without elements), half
  /// of one apart from both where they are equal. For a number of bins.
  std::optional<std::pair<double, double>> range{};
  Tensor weight{};       ///< of each element, of x's shape and dtype; undefined: 1
  bool density = false;  ///< divided by the width of its bin and by the sum of all
};
/// How many elements, or the sum of their weights, each bin has, and its edges: one more than bins.
struct Histogram {
  Tensor counts, edges;
};
/// Of all elements of x, float32 or float64, in its dtype. A bin has its left edge, the last one
/// both; what lies outside, as a NaN does, counts for nothing. The gradient is that of the weights.
Histogram histogram(const Tensor& x, std::int64_t bins, const HistogramOptions& options = {});
/// With edges that ascend (1-d, at least two, of x's dtype).
Histogram histogram(const Tensor& x, const Tensor& edges, const HistogramOptions& options = {});
/// The counts of so many bins from `min` to `max`, as in PyTorch: equal ones stand for the smallest
/// and the largest element, or, if these are equal, one less and one more.
Tensor histc(const Tensor& x, std::int64_t bins = 100, double min = 0, double max = 0);

}  // namespace autograd

#pragma GCC visibility pop
