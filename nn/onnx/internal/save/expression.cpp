#include "nn/onnx/internal/save/expression.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/core/errors.hpp"

namespace nn::onnx_out {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

[[noreturn]] void refuse(std::string_view op) {
  ag::fail("save_onnx", "operations must have a counterpart in ONNX, got {}, which has none", op);
}

bool is_integer(const Expr& x) { return x.dtype == ag::int64; }

}  // namespace

Expr where(const Expr& condition, Expr a, Expr b, const Expr& like) {
  Graph& g = *condition.graph;
  return {g, g.node("Where", {condition.name, a.in(like), b.in(like)}), like.dtype};
}
Expr where(const Expr& condition, Expr a, Expr b) {
  if (a.graph) return where(condition, a, b, a);
  if (b.graph) return where(condition, a, b, b);
  ag::fail("save_onnx", "a choice must be between tensors, got two numbers");
}

Expr abs(const Expr& x) { return unary("Abs", x); }
Expr sign(const Expr& x) { return unary("Sign", x); }
Expr sqrt(const Expr& x) { return unary("Sqrt", x); }
Expr exp(const Expr& x) { return unary("Exp", x); }
Expr log(const Expr& x) { return unary("Log", x); }
Expr sin(const Expr& x) { return unary("Sin", x); }
Expr cos(const Expr& x) { return unary("Cos", x); }
Expr tanh(const Expr& x) { return unary("Tanh", x); }
Expr erf(const Expr& x) { return unary("Erf", x); }
Expr tan(const Expr& x) { return unary("Tan", x); }
Expr asin(const Expr& x) { return unary("Asin", x); }
Expr acos(const Expr& x) { return unary("Acos", x); }
Expr atan(const Expr& x) { return unary("Atan", x); }
Expr sinh(const Expr& x) { return unary("Sinh", x); }
Expr cosh(const Expr& x) { return unary("Cosh", x); }
Expr asinh(const Expr& x) { return unary("Asinh", x); }
Expr acosh(const Expr& x) { return unary("Acosh", x); }
Expr atanh(const Expr& x) { return unary("Atanh", x); }
Expr floor(const Expr& x) { return is_integer(x) ? x : unary("Floor", x); }
Expr ceil(const Expr& x) { return is_integer(x) ? x : unary("Ceil", x); }
Expr round(const Expr& x) { return is_integer(x) ? x : unary("Round", x); }
Expr trunc(const Expr& x) { return is_integer(x) ? x : where(x < 0, ceil(x), floor(x)); }
Expr softplus(const Expr& x) { return unary("Softplus", x); }

// Without the digits that exp(x) - 1 loses near 0: tanh(x/2) = (exp(x) - 1) / (exp(x) + 1).
Expr expm1(const Expr& x) { return tanh(0.5 * x) * (exp(x) + 1); }
// What 1 + x loses is made good by the quotient (Higham, Accuracy and Stability, 1.14.1).
Expr log1p(const Expr& x) {
  const Expr u = 1 + x;
  return where(u == 1, x, where(x == kInfinity, x, log(u) * (x / (u - 1))));
}
Expr exp2(const Expr& x) { return binary("Pow", 2, x); }
Expr log2(const Expr& x) { return log(x) * std::numbers::log2e; }
Expr log10(const Expr& x) { return log(x) * std::numbers::log10e; }
Expr cbrt(const Expr& x) { return sign(x) * pow(abs(x), 1.0 / 3); }
Expr erfc(const Expr& x) { return 1 - erf(x); }
Expr gelu_gate(const Expr& x) {
  return 0.5 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x))));
}
Expr normal_cdf(const Expr& x) { return 0.5 * erfc(-0.7071067811865476 * x); }
Expr pow(const Expr& a, const Expr& b) { return binary("Pow", a, b); }
Expr maximum(const Expr& a, const Expr& b) { return binary("Max", a, b); }
Expr minimum(const Expr& a, const Expr& b) { return binary("Min", a, b); }
Expr fmod(const Expr& a, const Expr& b) { return binary("Mod", a, b, {{"fmod", std::int64_t{1}}}); }
// With the sign of the divisor.
Expr remainder(const Expr& a, const Expr& b) {
  const Expr r = fmod(a, b);
  return where(r != 0 && (r < 0) != (b < 0), r + b, r);
}
Expr atan2(const Expr& a, const Expr& b) {
  constexpr double pi = std::numbers::pi;
  const Expr y = abs(a), x = abs(b), far = maximum(y, x), near = minimum(y, x);
  // Both infinite or both 0 is a quotient of 1 or 0.
  const Expr ratio = where(far == near, where(far == 0, 0, 1, a), near / far);
  const Expr acute = atan(ratio), half = where(y > x, pi / 2 - acute, acute);
  const Expr upper = where(b < 0 || (b == 0 && 1 / b < 0), pi - half, half);
  const Expr angle = where(a < 0 || (a == 0 && 1 / a < 0), -upper, upper);
  return where(a == a && b == b, angle, a + b);
}
Expr hypot(const Expr& a, const Expr& b) {
  const Expr x = abs(a), y = abs(b), far = maximum(x, y), near = minimum(x, y);
  const Expr ratio = near / where(far == 0, 1, far);
  return where(x == kInfinity || y == kInfinity, kInfinity, far * sqrt(1 + ratio * ratio));
}

Expr erfinv(const Expr&) { refuse("erfinv"); }
Expr lgamma(const Expr&) { refuse("lgamma"); }
Expr digamma(const Expr&) { refuse("digamma"); }
Expr polygamma(const Expr&, const Expr&) { refuse("polygamma"); }

}  // namespace nn::onnx_out
