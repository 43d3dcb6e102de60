#pragma once

#include "nn/onnx/internal/save/graph.hpp"

/// The number type on which the formulas of elementwise.def, and those of the table, become nodes.
/// Internal.
namespace nn::onnx_out {

/// A tensor in a graph, or a number that takes the dtype of what it meets.
struct Expr {
  Expr(double number) : number_(number) {}  // NOLINT: formulas have literals
  Expr(Graph& graph, Name name, ag::DType dtype)
      : graph(&graph), name(std::move(name)), dtype(dtype) {}

  Graph* graph = nullptr;  // null: a number
  Name name{};
  ag::DType dtype = ag::float32;

  /// Its name in the graph of `like`, in its dtype.
  const Name& in(const Expr& like) {
    if (!graph) name = like.graph->number(number_, like.dtype);
    return name;
  }

 private:
  double number_ = 0;
};

inline Expr unary(std::string_view op, const Expr& x, const NodeAttributes& attributes = {}) {
  return {*x.graph, x.graph->node(op, {x.name}, attributes), x.dtype};
}
inline Expr binary(std::string_view op, Expr a, Expr b, const NodeAttributes& attributes = {}) {
  const Expr like = a.graph ? a : b;
  return {*like.graph, like.graph->node(op, {a.in(like), b.in(like)}, attributes), like.dtype};
}
inline Expr comparison(std::string_view op, const Expr& a, const Expr& b) {
  Expr result = binary(op, a, b);
  result.dtype = ag::boolean;
  return result;
}

inline Expr operator+(const Expr& a, const Expr& b) { return binary("Add", a, b); }
inline Expr operator-(const Expr& a, const Expr& b) { return binary("Sub", a, b); }
inline Expr operator*(const Expr& a, const Expr& b) { return binary("Mul", a, b); }
inline Expr operator/(const Expr& a, const Expr& b) { return binary("Div", a, b); }
inline Expr operator-(const Expr& x) { return unary("Neg", x); }
inline Expr operator<(const Expr& a, const Expr& b) { return comparison("Less", a, b); }
inline Expr operator<=(const Expr& a, const Expr& b) { return comparison("LessOrEqual", a, b); }
inline Expr operator>(const Expr& a, const Expr& b) { return comparison("Greater", a, b); }
inline Expr operator>=(const Expr& a, const Expr& b) { return comparison("GreaterOrEqual", a, b); }
inline Expr operator==(const Expr& a, const Expr& b) { return comparison("Equal", a, b); }
inline Expr operator!(const Expr& x) { return unary("Not", x); }
inline Expr operator!=(const Expr& a, const Expr& b) { return !(a == b); }
inline Expr operator&&(const Expr& a, const Expr& b) { return binary("And", a, b); }
inline Expr operator||(const Expr& a, const Expr& b) { return binary("Or", a, b); }

Expr where(const Expr& condition, Expr a, Expr b);
/// One number where both are numbers is of the dtype of `like`.
Expr where(const Expr& condition, Expr a, Expr b, const Expr& like);

// As in the formulas, by their names.
Expr abs(const Expr& x);
Expr sign(const Expr& x);
Expr sqrt(const Expr& x);
Expr exp(const Expr& x);
Expr expm1(const Expr& x);
Expr log(const Expr& x);
Expr log1p(const Expr& x);
Expr sin(const Expr& x);
Expr cos(const Expr& x);
Expr tanh(const Expr& x);
Expr erf(const Expr& x);
Expr tan(const Expr& x);
Expr asin(const Expr& x);
Expr acos(const Expr& x);
Expr atan(const Expr& x);
Expr sinh(const Expr& x);
Expr cosh(const Expr& x);
Expr asinh(const Expr& x);
Expr acosh(const Expr& x);
Expr atanh(const Expr& x);
Expr exp2(const Expr& x);
Expr log2(const Expr& x);
Expr log10(const Expr& x);
Expr cbrt(const Expr& x);
Expr erfc(const Expr& x);
Expr floor(const Expr& x);
Expr ceil(const Expr& x);
Expr trunc(const Expr& x);
Expr round(const Expr& x);
Expr softplus(const Expr& x);
Expr gelu_gate(const Expr& x);
Expr normal_cdf(const Expr& x);
Expr pow(const Expr& a, const Expr& b);
Expr maximum(const Expr& a, const Expr& b);
Expr minimum(const Expr& a, const Expr& b);
Expr fmod(const Expr& a, const Expr& b);
Expr remainder(const Expr& a, const Expr& b);
Expr atan2(const Expr& a, const Expr& b);
Expr hypot(const Expr& a, const Expr& b);
// Without a counterpart, and without a formula of what ONNX has.
[[noreturn]] Expr erfinv(const Expr& x);
[[noreturn]] Expr lgamma(const Expr& x);
[[noreturn]] Expr digamma(const Expr& x);
[[noreturn]] Expr polygamma(const Expr& a, const Expr& b);

}  // namespace nn::onnx_out
