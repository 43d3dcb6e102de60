#pragma once

#include <cstdint>
#include <limits>

#include "autograd/tape.hpp"

/// Operations on each element by itself. They broadcast as NumPy does.
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

}  // namespace autograd
