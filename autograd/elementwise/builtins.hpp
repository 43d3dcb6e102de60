#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Operations on each element by itself. They broadcast as NumPy does.
namespace autograd {

// ---------------------------------------------------------------- arithmetic
// Also for int64.

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
/// a / b, for float32 and float64; IEEE division (x / 0 = ±inf).
Tensor div(const Tensor& a, const Tensor& b);
/// a to the power b, for float32 and float64: exact where the dtype holds the power, and within an ulp
/// elsewhere; a number gives the bits of a tensor. A negative base with a fractional power is NaN.
/// The gradient for b at a = 0 is 0.
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
/// 2 to the power x.
Tensor exp2(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
/// 1 / √x; inf at 0, NaN below.
Tensor rsqrt(const Tensor& x);
/// The cube root, also of negative numbers; gradient inf at 0.
Tensor cbrt(const Tensor& x);
/// 1 / x; ±inf at 0.
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
/// In [-π/2, π/2]; NaN outside of [-1, 1], gradient inf at ±1.
Tensor asin(const Tensor& x);
/// In [0, π]; NaN outside of [-1, 1], gradient -inf at ±1.
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor asinh(const Tensor& x);
/// NaN below 1; gradient inf at 1.
Tensor acosh(const Tensor& x);
/// ±inf at ±1, NaN beyond.
Tensor atanh(const Tensor& x);
/// The error function, 2/√π ∫₀ˣ exp(-t²) dt.
Tensor erf(const Tensor& x);
/// 1 - erf(x), exact for large x.
Tensor erfc(const Tensor& x);
/// The inverse of erf; ±inf at ±1, NaN beyond.
Tensor erfinv(const Tensor& x);
/// log |Γ(x)|; inf at 0 and the negative whole numbers.
Tensor lgamma(const Tensor& x);
/// The derivative of lgamma; -inf at 0 (inf at -0), NaN at the negative whole numbers.
Tensor digamma(const Tensor& x);
/// The n-th derivative of digamma, 0 ≤ n ≤ 170; at 0 and the negative whole numbers inf for odd n
/// and -inf for even n.
Tensor polygamma(std::int64_t n, const Tensor& x);
/// The same with orders in a tensor of the dtype of x, rounded to whole numbers, without gradient.
Tensor polygamma(const Tensor& n, const Tensor& x);
/// Rounding down, up, towards zero, and to the nearest whole number (halves to the even one).
/// Gradient 0. Also for int64.
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor trunc(const Tensor& x);
Tensor round(const Tensor& x);
/// The remainder of a / b towards zero, exact, with the sign of a. Gradient 1 for a, minus the
/// quotient for b. NaN for b = 0.
Tensor fmod(const Tensor& a, const Tensor& b);
Tensor fmod(const Tensor& a, double b);
/// The remainder of a / b towards minus infinity, with the sign of b, as Python's %.
Tensor remainder(const Tensor& a, const Tensor& b);
Tensor remainder(const Tensor& a, double b);
/// The angle of the point (b, a), in [-π, π]; gradient NaN at (0, 0).
Tensor atan2(const Tensor& a, const Tensor& b);
/// √(a² + b²), without overflow; gradient 0 at (0, 0).
Tensor hypot(const Tensor& a, const Tensor& b);
Tensor hypot(const Tensor& a, double b);
/// log(exp(a) + exp(b)), without overflow.
Tensor logaddexp(const Tensor& a, const Tensor& b);
/// a log(b), and 0 for a = 0 unless b is NaN. At a = 0 the gradient for a is 0 where b ≤ 0, that
/// for b is 0 where b = 0.
Tensor xlogy(const Tensor& a, const Tensor& b);
Tensor xlogy(const Tensor& a, double b);
Tensor xlogy(double a, const Tensor& b);
/// a + weight (b - a); exact at weight 0 and 1.
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight);
Tensor lerp(const Tensor& a, const Tensor& b, double weight);
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
/// log(sigmoid(x)), without overflow.
Tensor logsigmoid(const Tensor& x);
/// Limits x to [low, high]; gradient 1 inside and at the bounds, 0 outside. Where low > high, high.
Tensor clamp(const Tensor& x, double low, double high = std::numeric_limits<double>::infinity());
/// The same with tensor bounds, which broadcast and get the gradient where they are the result.
Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high);
/// a where `condition` (bool) holds, else b. a and b of one dtype, any; all three broadcast.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);
/// x with NaN replaced by `nan` and the infinities by `posinf` and `neginf` (default: the largest
/// and the lowest finite value of the dtype). Gradient 0 where replaced. Also for int64, as it is.
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = {},
                  std::optional<double> neginf = {});

// ---------------------------------------------------------------- activations
// With PyTorch's definitions and defaults. Parameters given as tensors broadcast and get a
// gradient.

/// x where positive, else slope x; gradient slope at 0.
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor leaky_relu(const Tensor& x, const Tensor& slope);
/// min(max(x, 0), 6); gradient 0 at 0 and 6.
Tensor relu6(const Tensor& x);
/// x where positive, else alpha (exp(x) - 1); gradient alpha at 0 (Clevert 2016).
Tensor elu(const Tensor& x, double alpha = 1);
Tensor elu(const Tensor& x, const Tensor& alpha);
/// 1.0507 elu(x, 1.6733), which keeps mean 0 and variance 1 (Klambauer 2017).
Tensor selu(const Tensor& x);
/// x where positive, else alpha (exp(x / alpha) - 1); alpha must not be 0 (Barron 2017).
Tensor celu(const Tensor& x, double alpha = 1);
Tensor celu(const Tensor& x, const Tensor& alpha);
/// x sigmoid(x), also called swish (Elfwing, Uchibe and Doya 2018).
Tensor silu(const Tensor& x);
/// x tanh(softplus(x)) (Misra 2019).
Tensor mish(const Tensor& x);
/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), the approximation of gelu by tanh.
Tensor gelu_tanh(const Tensor& x);
/// min(max(x + 3, 0), 6) / 6; gradient 0 at ±3.
Tensor hardsigmoid(const Tensor& x);
/// x hardsigmoid(x); gradient 0 at -3 and 1 at 3 (Howard 2019).
Tensor hardswish(const Tensor& x);
/// Limits x to [low, high], as clamp, but with gradient 0 at the bounds; low ≤ high.
Tensor hardtanh(const Tensor& x, double low = -1, double high = 1);
Tensor hardtanh(const Tensor& x, const Tensor& low, const Tensor& high);
/// x / (1 + |x|).
Tensor softsign(const Tensor& x);
/// x moved towards 0 by lambda ≥ 0, and 0 in [-lambda, lambda], where the gradient is 0.
Tensor softshrink(const Tensor& x, double lambda = 0.5);
Tensor softshrink(const Tensor& x, const Tensor& lambda);
/// x, and 0 in [-lambda, lambda], where the gradient is 0.
Tensor hardshrink(const Tensor& x, double lambda = 0.5);
Tensor hardshrink(const Tensor& x, const Tensor& lambda);
/// x - tanh(x).
Tensor tanhshrink(const Tensor& x);
/// x where greater than `threshold`, else `value`.
Tensor threshold(const Tensor& x, double threshold, double value);
Tensor threshold(const Tensor& x, const Tensor& threshold, const Tensor& value);

// ---------------------------------------------------------------- truth values

/// Whether an element is NaN, infinite, or neither; bool. All dtypes.
Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
Tensor isfinite(const Tensor& x);
/// Logic of the truth values x != 0 (true for NaN); bool, all dtypes, also different ones.
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
Tensor logical_not(const Tensor& x);
/// The same for bool tensors only. There is no && and ||, which could not evaluate lazily.
Tensor operator&(const Tensor& a, const Tensor& b);
Tensor operator|(const Tensor& a, const Tensor& b);
Tensor operator^(const Tensor& a, const Tensor& b);
Tensor operator~(const Tensor& x);

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

}  // namespace autograd

#pragma GCC visibility pop
