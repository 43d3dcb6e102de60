#pragma once

#include <cstdint>
#include <limits>
#include <utility>

#include "autograd/tape.hpp"

/// Every built-in operation. All are differentiable to any order unless they say otherwise,
/// broadcast as NumPy does where they take several tensors, accept float32 and float64 (int64 and
/// bool where it says so), and throw `Error` on operands of different dtypes. A C++ number takes
/// the tensor's dtype and never changes it.
namespace autograd {

// ---------------------------------------------------------------- arithmetic
// Also for int64.

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
/// a / b, for float32 and float64; IEEE division (x / 0 = ±inf).
Tensor div(const Tensor& a, const Tensor& b);
/// a to the power b, for float32 and float64. A negative base with a fractional power is NaN. The
/// gradient for b at a = 0 is 0.
Tensor pow(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, double b);
Tensor pow(double a, const Tensor& b);
/// The larger value; NaN if either is NaN. At a tie each operand gets half of the gradient.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, double b);
/// The smaller value; NaN if either is NaN. At a tie each operand gets half of the gradient.
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, double b);

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator+(double a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, double b);
Tensor operator-(double a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, double b);
Tensor operator*(double a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, double b);
Tensor operator/(double a, const Tensor& b);
/// `a = a + b` and so on: the handle moves to a new result; nothing is written in place.
Tensor& operator+=(Tensor& a, const Tensor& b);
Tensor& operator-=(Tensor& a, const Tensor& b);
Tensor& operator*=(Tensor& a, const Tensor& b);
Tensor& operator/=(Tensor& a, const Tensor& b);
Tensor& operator+=(Tensor& a, double b);
Tensor& operator-=(Tensor& a, double b);
Tensor& operator*=(Tensor& a, double b);
Tensor& operator/=(Tensor& a, double b);

// ---------------------------------------------------------------- elementwise

/// -x. Also for int64.
Tensor neg(const Tensor& x);
Tensor operator-(const Tensor& x);
/// |x|; gradient 0 at 0. Also for int64.
Tensor abs(const Tensor& x);
/// x². Also for int64.
Tensor square(const Tensor& x);
/// √x; NaN below 0, gradient +inf at 0.
Tensor sqrt(const Tensor& x);
Tensor exp(const Tensor& x);
/// Natural logarithm; -inf at 0, NaN below.
Tensor log(const Tensor& x);
/// log(1 + x), exact for small x.
Tensor log1p(const Tensor& x);
/// exp(x) - 1, exact for small x.
Tensor expm1(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
/// The error function, 2/√π ∫₀ˣ exp(-t²) dt.
Tensor erf(const Tensor& x);
/// -1, 0 or 1; NaN stays. Gradient 0. Also for int64.
Tensor sign(const Tensor& x);
/// 1 / (1 + exp(-x)).
Tensor sigmoid(const Tensor& x);
/// max(x, 0); gradient 0 at 0.
Tensor relu(const Tensor& x);
/// x Φ(x) with the normal distribution function Φ (Hendrycks and Gimpel 2016), the exact form.
Tensor gelu(const Tensor& x);
/// log(1 + exp(x)), without overflow.
Tensor softplus(const Tensor& x);
/// Limits x to [low, high]; gradient 1 inside and at the bounds, 0 outside. Where low > high, high.
Tensor clamp(const Tensor& x, double low, double high = std::numeric_limits<double>::infinity());
/// The same with tensor bounds, which broadcast and get the gradient where they are the result.
Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high);
/// a where `condition` (bool) holds, else b. a and b of one dtype, any; all three broadcast.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);

// Comparisons give bool and have no gradient; all dtypes. NaN compares unequal to everything.
Tensor operator==(const Tensor& a, const Tensor& b);
Tensor operator!=(const Tensor& a, const Tensor& b);
Tensor operator<(const Tensor& a, const Tensor& b);
Tensor operator<=(const Tensor& a, const Tensor& b);
Tensor operator>(const Tensor& a, const Tensor& b);
Tensor operator>=(const Tensor& a, const Tensor& b);
Tensor operator==(const Tensor& a, double b);
Tensor operator!=(const Tensor& a, double b);
Tensor operator<(const Tensor& a, double b);
Tensor operator<=(const Tensor& a, double b);
Tensor operator>(const Tensor& a, double b);
Tensor operator>=(const Tensor& a, double b);
Tensor operator==(double a, const Tensor& b);
Tensor operator!=(double a, const Tensor& b);
Tensor operator<(double a, const Tensor& b);
Tensor operator<=(double a, const Tensor& b);
Tensor operator>(double a, const Tensor& b);
Tensor operator>=(double a, const Tensor& b);

// ---------------------------------------------------------------- reductions
// Over the given axes, or over all. With keepdims a reduced axis stays, with size 1.

/// Sum; 0 when empty. float32 is added in blocks with a double total. Also for int64 and bool, as
/// int64.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Mean; NaN when empty.
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Largest value, NaN if any is NaN; equal largest values share the gradient evenly. Throws when
/// empty. Also for int64.
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Smallest value, with the same conventions.
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Variance with divisor n - correction (1: the unbiased estimate, PyTorch's default; 0: NumPy's).
Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdims = false, double correction = 1);
/// log(sum(exp(x))), without overflow; -inf when empty or all -inf.
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false);
/// Position of the first largest value (a NaN counts as largest) along one axis, as int64. No
/// gradient.
Tensor argmax(const Tensor& x, std::int64_t axis = -1, bool keepdims = false);

// ---------------------------------------------------------------- shape
// For every dtype.

/// The same elements in another shape; one size may be -1. Shares storage.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Axes start…end (inclusive) as one. A 0-d tensor becomes (1,).
Tensor flatten(const Tensor& x, std::int64_t start = 0, std::int64_t end = -1);
/// Without the axes of size 1: all of them, or the given ones (those of another size stay).
Tensor squeeze(const Tensor& x, const Axes& axes = {});
/// With a new axis of size 1 at `axis`, in [-ndim - 1, ndim].
Tensor unsqueeze(const Tensor& x, std::int64_t axis);
/// Axis i of the result is axis order[i] of x. A copy.
Tensor permute(const Tensor& x, const Axes& order);
/// Two axes swapped; without arguments the last two. A copy.
Tensor transpose(const Tensor& x, std::int64_t axis0 = -2, std::int64_t axis1 = -1);
/// Broadcast to `shape`; -1 keeps a size. A copy.
Tensor expand(const Tensor& x, const Shape& shape);
/// Summed down to `shape`, which must broadcast to the shape of x: the transpose of `expand`.
Tensor sum_to(const Tensor& x, const Shape& shape);
/// Joined along an existing axis; the other sizes must agree.
Tensor concat(const TensorList& tensors, std::int64_t axis = 0);
/// Joined along a new axis; all shapes must agree.
Tensor stack(const TensorList& tensors, std::int64_t axis = 0);

// ---------------------------------------------------------------- indexing
// For every dtype. A negative index counts from the end; one out of range throws.

/// `length` entries of one axis from `start`.
Tensor narrow(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t length);
/// Entries start, start + step, … before stop of one axis, with Python's rules (clipped, negative
/// from the end); step may be negative, not 0.
Tensor slice(const Tensor& x, std::int64_t axis, std::int64_t start,
             std::int64_t stop = std::numeric_limits<std::int64_t>::max(), std::int64_t step = 1);
/// One entry of one axis; the axis goes.
Tensor select(const Tensor& x, std::int64_t axis, std::int64_t index);
/// The entries `index` (int64, 1-d) of one axis, in that order; repeated ones add up in the
/// gradient.
Tensor index_select(const Tensor& x, std::int64_t axis, const Tensor& index);
/// out[i][j] = x[index[i][j]][j] for axis 0, and so on (as PyTorch): index is int64, of the rank of
/// x, and no larger than x on the other axes.
Tensor gather(const Tensor& x, std::int64_t axis, const Tensor& index);
/// Zeros of `shape` plus `source` added at `index` of one axis: the transpose of `gather`.
Tensor scatter_add_zeros(const Shape& shape, std::int64_t axis, const Tensor& index,
                         const Tensor& source);

// ---------------------------------------------------------------- products

/// Matrix product as NumPy's: 2-D; batched over broadcast leading axes; a 1-D operand is a row on
/// the left, a column on the right, and its axis goes.
Tensor matmul(const Tensor& a, const Tensor& b);
/// x Wᵀ + bias with x (…, in), weight (out, in), bias (out) or undefined. → (…, out).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// ---------------------------------------------------------------- fused

/// exp(x) / sum(exp(x)) along one axis, without overflow.
Tensor softmax(const Tensor& x, std::int64_t axis = -1);
/// log(softmax(x)), without overflow or loss of digits.
Tensor log_softmax(const Tensor& x, std::int64_t axis = -1);

/// How a loss is reduced over the samples.
enum class Reduction { mean, sum, none };

/// Options of `cross_entropy`.
struct CrossEntropyOptions {
  Tensor weight{};  ///< (classes): a factor per class; mean divides by their sum
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;        ///< in [0, 1]: that share of the target is spread evenly
  std::int64_t ignore_index = -100;  ///< targets of this value count for nothing
};
/// -log softmax(logits)[target] with logits (n, classes) or (n, classes, d1, …) or (classes), and
/// targets int64 without the class axis, or class probabilities in the shape of the logits (Szegedy
/// 2016 for the smoothing). With every target ignored, the mean is NaN, as in PyTorch.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options = {});
/// (x - mean) / √(variance + eps) over the last `normalized.ndim()` axes, then · weight + bias
/// where defined, both of shape `normalized` (Ba, Kiros and Hinton 2016).
Tensor layer_norm(const Tensor& x, const Shape& normalized, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

}  // namespace autograd
