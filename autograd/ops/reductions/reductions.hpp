#pragma once

#include <cstdint>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Operations that combine the elements along axes.
namespace autograd {

// Over the given axes, or over all. With keepdims a reduced axis stays, with size 1.

/// Sum; 0 when empty. float32 is added in blocks with a double total. Also for int64 and bool, as
/// int64.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Mean; NaN when empty.
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Product; 1 when empty. The gradient is right at zeros, to any order. Also for int64 and bool, as
/// int64.
Tensor prod(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Largest value, NaN if any is NaN; equal largest values share the gradient evenly. Throws when
/// empty. Also for int64.
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Smallest value, with the same conventions.
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// The same as `max` and `min`, by the names that PyTorch has for reductions over several axes.
Tensor amax(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
Tensor amin(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Variance with divisor max(n - correction, 0); correction 1 is the unbiased estimate (PyTorch's
/// default), 0 NumPy's. NaN where nothing is left to divide 0 by.
Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdims = false, double correction = 1);
/// Standard deviation, √var. Where it is 0, so is the gradient, to any order.
Tensor std(const Tensor& x, const Axes& axes = {}, bool keepdims = false, double correction = 1);
struct VarianceAndMean {
  Tensor var, mean;
};
VarianceAndMean var_mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false,
                         double correction = 1);
/// log(sum(exp(x))), without overflow; -inf, with gradient 0, when empty or all -inf.
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// (sum |x|ᵖ)^(1/p) for any p, without overflow. p = 0 counts the nonzero elements (gradient 0);
/// ±inf is the largest or smallest |x|, ties sharing the gradient. The gradient is 0 for elements
/// at a kink and where the norm is 0, to any order. Empty: 0, but throws for p < 0 and inf.
Tensor norm(const Tensor& x, double p = 2, const Axes& axes = {}, bool keepdims = false);
/// Sum, and mean, of the elements that are not NaN; the others get gradient 0. The mean of none is
/// NaN.
Tensor nansum(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
Tensor nanmean(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Position of the first largest value (a NaN counts as largest) along one axis, as int64. No
/// gradient.
Tensor argmax(const Tensor& x, std::int64_t axis = -1, bool keepdims = false);
/// Position of the first smallest value (a NaN counts as smallest), likewise.
Tensor argmin(const Tensor& x, std::int64_t axis = -1, bool keepdims = false);
/// Whether every element, or at least one, is not 0 (NaN is not), as bool; of none: true, false.
/// For every dtype.
Tensor all(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
Tensor any(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Number of elements that are not 0, as int64. For every dtype.
Tensor count_nonzero(const Tensor& x, const Axes& axes = {}, bool keepdims = false);

// ---------------------------------------------------------------- order
// For every dtype. NaN counts as the largest value. A gradient goes to the elements taken; indices
// are int64 and have none.

struct ValuesAndIndices {
  Tensor values, indices;
};

/// The lines of an axis in ascending or descending order, and where each element stood. Stable in
/// both directions. A NaN comes last, in descending order first.
ValuesAndIndices sort(const Tensor& x, std::int64_t axis = -1, bool descending = false);
/// The indices of `sort`.
Tensor argsort(const Tensor& x, std::int64_t axis = -1, bool descending = false);
/// The k largest or smallest of each line: in the order of `sort`, or, unless sorted, of their
/// positions. Of equal ones the earlier are taken.
ValuesAndIndices topk(const Tensor& x, std::int64_t k, std::int64_t axis = -1, bool largest = true,
                      bool sorted = true);
/// The k-th smallest of each line, from k = 1; of equal ones the earlier count as smaller.
ValuesAndIndices kthvalue(const Tensor& x, std::int64_t k, std::int64_t axis = -1,
                          bool keepdims = false);
/// The middle value, of two middles the lower; NaN if any is NaN. The gradient goes to that element
/// (of equal ones, to one). Throws when empty.
Tensor median(const Tensor& x, const Axes& axes = {}, bool keepdims = false);

/// What a quantile between two elements is.
enum class Interpolation { linear, lower, higher, midpoint, nearest };

/// The value at position q (n - 1) of the n sorted elements, q in [0, 1]; NaN if any is NaN.
/// `nearest` rounds half to even. For float32 and float64. Throws when empty.
Tensor quantile(const Tensor& x, double q, const Axes& axes = {}, bool keepdims = false,
                Interpolation interpolation = Interpolation::linear);
/// The same for each q (0-d or 1-d; no gradient); a 1-d q gives the first axis of the result.
Tensor quantile(const Tensor& x, const Tensor& q, const Axes& axes = {}, bool keepdims = false,
                Interpolation interpolation = Interpolation::linear);
/// Where each value goes in ascending lines of the last axis so that they stay sorted: before equal
/// elements, or with `right` behind them. `sorted` is 1-d, or has the leading sizes of `values`.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right = false);
/// How often each of 0, 1, … stands in x (int64, 1-d, not negative), at least minlength counts, as
/// int64; or the sums of their weights, in the weights' dtype and with their gradient.
Tensor bincount(const Tensor& x, std::int64_t minlength = 0);
Tensor bincount(const Tensor& x, const Tensor& weights, std::int64_t minlength = 0);

// ---------------------------------------------------------------- along one axis

/// Sums of the elements up to each. float32 is added in double. Also for int64 and bool, as int64.
Tensor cumsum(const Tensor& x, std::int64_t axis);
/// Products of the elements up to each, likewise. The gradient is right at zeros, to any order.
Tensor cumprod(const Tensor& x, std::int64_t axis);
/// log(cumsum(exp(x))), without overflow; -inf, with gradient 0, until the first that is not -inf.
Tensor logcumsumexp(const Tensor& x, std::int64_t axis);
/// The largest (smallest) element up to each, of equal ones the latest, and where it stands; from
/// the first NaN on, NaN. The gradient goes to that element. For every dtype.
ValuesAndIndices cummax(const Tensor& x, std::int64_t axis);
ValuesAndIndices cummin(const Tensor& x, std::int64_t axis);
/// Differences of neighbours, n times over. Also for int64.
Tensor diff(const Tensor& x, std::int64_t n = 1, std::int64_t axis = -1);
/// The integral by the rule of trapezoids, with the distance dx or the places x, of the shape of y
/// or 1-d along the axis.
Tensor trapezoid(const Tensor& y, double dx = 1, std::int64_t axis = -1);
Tensor trapezoid(const Tensor& y, const Tensor& x, std::int64_t axis = -1);
/// x / max(norm(x, p), eps) along the axis.
Tensor normalize(const Tensor& x, double p = 2, std::int64_t axis = 1, double eps = 1e-12);
/// Cosine of the angle between a and b along an axis of their broadcast shape, each norm being at
/// least eps.
Tensor cosine_similarity(const Tensor& a, const Tensor& b, std::int64_t axis = 1,
                         double eps = 1e-8);

/// Covariances of the rows of x (variables, observations) with divisor max(n - correction, 0); 1-d
/// is one variable and gives a 0-d result.
Tensor cov(const Tensor& x, double correction = 1);
/// cov over the product of the standard deviations, within [-1, 1]; NaN where one is 0.
Tensor corrcoef(const Tensor& x);

}  // namespace autograd

#pragma GCC visibility pop
