#include <fmt/ranges.h>

#include <cmath>
#include <map>

#include "tests/autograd/op_table/op_table.hpp"

// The places where formulas branch, or are not what they look like, with their numbers. A kink has
// the convention of docs/numerics.md there, a smooth function its derivatives.
namespace ag = autograd;

namespace table {
namespace {

using V = std::vector<double>;
using Points = std::map<std::string, std::vector<Point>>;
using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);
using Ternary = Tensor (*)(const Tensor&, const Tensor&, const Tensor&);

constexpr double kLog2 = 0.6931471805599453, kEuler = 0.5772156649015329,
                 kTrigamma = 1.6449340668482264,  // π² / 6
    kInf = HUGE_VAL;

void unary(Points& p, const char* name, Unary f, double at, double value, double first,
           double second) {
  const std::string text = std::string(name) + " at " + std::to_string(at);
  p[name].push_back({text, {at}, [f](const Tensor& x) { return f(x); }, value, {first}, {second}});
}
void binary(Points& p, const char* name, Binary f, V at, double value, V first, V second = {}) {
  const std::string text = fmt::format("{} at {}", name, fmt::join(at, ", "));
  p[name].push_back(
      {text, at, [f](const Tensor& x) { return f(x[0], x[1]); }, value, first, second});
}
void ternary(Points& p, const char* name, Ternary f, V at, double value, V first, V second) {
  const std::string text = fmt::format("{} at {}", name, fmt::join(at, ", "));
  p[name].push_back(
      {text, at, [f](const Tensor& x) { return f(x[0], x[1], x[2]); }, value, first, second});
}
void whole(Points& p, const char* name, std::function<Tensor(const Tensor&)> f, V at, double value,
           V first, V second) {
  const std::string text = fmt::format("{} at {}", name, fmt::join(at, ", "));
  p[name].push_back({text, at, std::move(f), value, first, second});
}

void add_functions(Points& p) {
  unary(p, "abs", ag::abs, 0, 0, 0, 0);
  unary(p, "sign", ag::sign, 0, 0, 0, 0);
  unary(p, "square", ag::square, 0, 0, 0, 2);
  unary(p, "expm1", ag::expm1, 0, 0, 1, 1);
  unary(p, "log1p", ag::log1p, 0, 0, 1, -1);
  unary(p, "tanh", ag::tanh, 0, 0, 1, 0);
  unary(p, "cosh", ag::cosh, 0, 1, 0, 1);
  unary(p, "asinh", ag::asinh, 0, 0, 1, 0);
  unary(p, "asin", ag::asin, 1, M_PI / 2, kInf, kInf);
  unary(p, "asin", ag::asin, -1, -M_PI / 2, kInf, -kInf);
  unary(p, "acos", ag::acos, 1, 0, -kInf, -kInf);
  unary(p, "acos", ag::acos, -1, M_PI, -kInf, kInf);
  unary(p, "acosh", ag::acosh, 1, 0, kInf, -kInf);
  unary(p, "atanh", ag::atanh, 0, 0, 1, 0);
  unary(p, "atanh", ag::atanh, 1, kInf, kInf, kInf);
  unary(p, "atanh", ag::atanh, -1, -kInf, kInf, -kInf);
  unary(p, "erf", ag::erf, 0, 0, 2 / std::sqrt(M_PI), 0);
  unary(p, "erfc", ag::erfc, 0, 1, -2 / std::sqrt(M_PI), 0);
  unary(p, "erfinv", ag::erfinv, 0, 0, std::sqrt(M_PI) / 2, 0);
  unary(p, "lgamma", ag::lgamma, 1, 0, -kEuler, kTrigamma);
  unary(p, "lgamma", ag::lgamma, 2, 0, 1 - kEuler, kTrigamma - 1);
  unary(p, "digamma", ag::digamma, 1, -kEuler, kTrigamma, -2.4041138063191886);
  whole(p, "polygamma", [](auto& x) { return ag::polygamma(1, x); }, {1}, kTrigamma,
        {-2.4041138063191886}, {6.493939402266829});
  binary(p, "hypot", ag::hypot, {3, 0}, 3, {1, 0}, {0, 0, 0, 1.0 / 3});
  binary(p, "hypot", ag::hypot, {0, 0}, 0, {0, 0}, {0, 0, 0, 0});
  binary(p, "atan2", ag::atan2, {0, 1}, 0, {1, 0}, {0, -1, -1, 0});
  binary(p, "atan2", ag::atan2, {1, 0}, M_PI / 2, {0, -1}, {0, 1, 1, 0});
  binary(p, "remainder", ag::remainder, {-1, kInf}, kInf, {1, 1}, V(4, 0));
  binary(p, "remainder", ag::remainder, {1, -kInf}, -kInf, {1, 1}, V(4, 0));
  binary(p, "remainder", ag::remainder, {-1, -kInf}, -1, {1, 0}, V(4, 0));
  binary(p, "remainder", ag::remainder, {-1e-20, 1}, 1, {1, 1}, V(4, 0));
  binary(p, "fmod", ag::fmod, {-1, kInf}, -1, {1, 0}, V(4, 0));
  binary(p, "maximum", ag::maximum, {1, 1}, 1, {0.5, 0.5}, {0, 0, 0, 0});
  binary(p, "minimum", ag::minimum, {1, 1}, 1, {0.5, 0.5}, {0, 0, 0, 0});
  binary(p, "logaddexp", ag::logaddexp, {1, 1}, 1 + kLog2, {0.5, 0.5}, {0.25, -0.25, -0.25, 0.25});
  binary(p, "xlogy", ag::xlogy, {0, 2}, 0, {kLog2, 0}, {0, 0.5, 0.5, 0});
  binary(p, "xlogy", ag::xlogy, {0, 0}, 0, {0, 0}, {0, 0, 0, 0});
  for (const double n : {1, 2, 3, 4})
    whole(p, "pow", [n](auto& x) { return ag::pow(x, n); }, {0}, 0, {n == 1 ? 1.0 : 0.0},
          {n == 2 ? 2.0 : 0.0});
  whole(p, "pow", [](auto& x) { return ag::pow(x, 0); }, {0}, 1, {0}, {0});
  whole(p, "pow", [](auto& x) { return ag::pow(x, ag::full({}, 2, x.dtype())); }, {0}, 0, {0}, {2});
  whole(p, "pow", [](auto& x) { return ag::pow(x, 3); }, {-2}, -8, {12}, {-12});
  ternary(p, "lerp", ag::lerp, {1, 2, 0.5}, 1.5, {0.5, 0.5, 1}, {0, 0, -1, 0, 0, 1, -1, 1, 0});
  ternary(p, "clamp", ag::clamp, {1, -1, 1}, 1, {1, 0, 0}, V(9, 0));
  ternary(p, "clamp", ag::clamp, {-1, -1, 1}, -1, {1, 0, 0}, V(9, 0));
}

void add_activations(Points& p) {
  const double density = 1 / std::sqrt(2 * M_PI);
  unary(p, "sigmoid", ag::sigmoid, 0, 0.5, 0.25, 0);
  unary(p, "relu", ag::relu, 0, 0, 0, 0);
  unary(p, "gelu", ag::gelu, 0, 0, 0.5, 2 * density);
  unary(p, "gelu_tanh", ag::gelu_tanh, 0, 0, 0.5, 2 * density);
  unary(p, "softplus", ag::softplus, 0, kLog2, 0.5, 0.25);
  unary(p, "logsigmoid", ag::logsigmoid, 0, -kLog2, 0.5, -0.25);
  unary(p, "silu", ag::silu, 0, 0, 0.5, 0.5);
  unary(p, "mish", ag::mish, 0, 0, 0.6, 0.64);
  // At 0 these have the derivatives of their exponential piece, to any order.
  unary(p, "selu", ag::selu, 0, 0, 1.7580993408473766, 1.7580993408473766);
  binary(p, "elu", ag::elu, {0, 1}, 0, {1, 0}, {1, 1, 1, 0});
  binary(p, "elu", ag::elu, {0, 2}, 0, {2, 0}, {2, 1, 1, 0});
  binary(p, "celu", ag::celu, {0, 1}, 0, {1, 0}, {1, 0, 0, 0});
  binary(p, "celu", ag::celu, {0, 2}, 0, {1, 0}, {0.5, 0, 0, 0});
  unary(p, "hardsigmoid", ag::hardsigmoid, -3, 0, 0, 0);
  unary(p, "hardsigmoid", ag::hardsigmoid, 0, 0.5, 1.0 / 6, 0);
  unary(p, "hardsigmoid", ag::hardsigmoid, 3, 1, 0, 0);
  unary(p, "hardswish", ag::hardswish, -3, 0, 0, 0);
  unary(p, "hardswish", ag::hardswish, 0, 0, 0.5, 1.0 / 3);
  unary(p, "hardswish", ag::hardswish, 3, 3, 1, 0);
  unary(p, "softsign", ag::softsign, 0, 0, 1, 0);  // from -2 to 2: the mean
  unary(p, "tanhshrink", ag::tanhshrink, 0, 0, 0, 0);
  unary(p, "relu6", ag::relu6, 0, 0, 0, 0);
  unary(p, "relu6", ag::relu6, 6, 6, 0, 0);
  binary(p, "leaky_relu", ag::leaky_relu, {0, 0.1}, 0, {0.1, 0}, {0, 1, 1, 0});
  binary(p, "prelu", ag::prelu, {0, 0.1}, 0, {0.1, 0}, {0, 1, 1, 0});
  binary(p, "softshrink", ag::softshrink, {0.5, 0.5}, 0, {0, 0}, {0, 0, 0, 0});
  binary(p, "softshrink", ag::softshrink, {-0.5, 0.5}, 0, {0, 0}, {0, 0, 0, 0});
  binary(p, "hardshrink", ag::hardshrink, {0.5, 0.5}, 0, {0, 0}, {0, 0, 0, 0});
  ternary(p, "threshold", ag::threshold, {1, 1, 5}, 5, {0, 0, 1}, V(9, 0));
  ternary(p, "hardtanh", ag::hardtanh, {-1, -1, 1}, -1, {0, 1, 0}, V(9, 0));
  ternary(p, "hardtanh", ag::hardtanh, {1, -1, 1}, 1, {0, 0, 1}, V(9, 0));
  whole(p, "glu", [](auto& x) { return ag::glu(x); }, {1, 0}, 0.5, {0.5, 0.25}, {0, 0.25, 0.25, 0});
}

void add_reductions(Points& p) {
  const V none(4, 0);
  whole(
      p, "max", [](auto& x) { return ag::max(x); }, {1, 1}, 1, {0.5, 0.5}, none);
  whole(
      p, "min", [](auto& x) { return ag::min(x); }, {1, 1}, 1, {0.5, 0.5}, none);
  whole(p, "var", [](auto& x) { return ag::var(x); }, {1, 1, 1}, 0, {0, 0, 0},
        {2.0 / 3, -1.0 / 3, -1.0 / 3, -1.0 / 3, 2.0 / 3, -1.0 / 3, -1.0 / 3, -1.0 / 3, 2.0 / 3});
  whole(
      p, "std", [](auto& x) { return ag::std(x); }, {1, 1}, 0, {0, 0}, none);
  whole(p, "norm", [](auto& x) { return ag::norm(x); }, {0, 2}, 2, {0, 1}, {0.5, 0, 0, 0});
  whole(
      p, "norm", [](auto& x) { return ag::norm(x); }, {0, 0}, 0, {0, 0}, none);
  for (const double n : {1, 3, 4})
    whole(
        p, "norm", [n](auto& x) { return ag::norm(x, n); }, {0, 2}, 2, {0, 1}, none);
  whole(p, "normalize", [](auto& x) { return ag::normalize(x, 2, 0)[1]; }, {1, 0}, 0, {0, 1},
        {0, -1, -1, 0});
  whole(p, "cosine_similarity",
        [](auto& x) {
          return ag::cosine_similarity(x[{ag::indexing::slice(0, 2)}],
                                       x[{ag::indexing::slice(2, 4)}], 0);
        },
        {1, 0, 1, 0}, 1, V(4, 0), {0, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0, 0, 0, 1, 0, -1});
  const V share{0.25, -0.25, -0.25, 0.25};
  whole(
      p, "logsumexp", [](auto& x) { return ag::logsumexp(x); }, {1, 1}, 1 + kLog2, {0.5, 0.5},
      share);
  whole(
      p, "logcumsumexp", [](auto& x) { return ag::logcumsumexp(x, 0)[1]; }, {1, 1}, 1 + kLog2,
      {0.5, 0.5}, share);
  whole(p, "prod", [](auto& x) { return ag::prod(x); }, {2, 0, 0}, 0, {0, 0, 0},
        {0, 0, 0, 0, 0, 2, 0, 2, 0});
  whole(p, "cumprod", [](auto& x) { return ag::cumprod(x, 0); }, {2, 0, 0}, 2, {1, 2, 0},
        {0, 1, 0, 1, 0, 2, 0, 2, 0});
  whole(
      p, "softmax", [](auto& x) { return ag::softmax(x, 0)[0]; }, {0, 0}, 0.5, {0.25, -0.25}, none);
  whole(p, "log_softmax", [](auto& x) { return ag::log_softmax(x, 0)[0]; }, {0, 0}, -kLog2,
        {0.5, -0.5}, {-0.25, 0.25, 0.25, -0.25});
  whole(
      p, "cross_entropy", [](auto& x) { return ag::cross_entropy(x, ag::tensor(0)); }, {0, 0},
      kLog2, {-0.5, 0.5}, share);
  // The first of equal ones.
  whole(p, "max_pool1d",
        [](auto& x) {
          return ag::square(ag::max_pool1d(ag::reshape(x, {1, 3}), 3));
        },
        {1, 2, 2}, 4, {0, 4, 0}, {0, 0, 0, 0, 2, 0, 0, 0, 0});
  whole(p, "adaptive_max_pool1d",
        [](auto& x) {
          return ag::square(ag::adaptive_max_pool1d(ag::reshape(x, {1, 3}), 1));
        },
        {2, 2, 1}, 4, {4, 0, 0}, {2, 0, 0, 0, 0, 0, 0, 0, 0});
  // d / √(d² + 1) with d half of the difference.
  whole(
      p, "layer_norm", [](auto& x) { return ag::layer_norm(x, {2}, {}, {}, 1)[0]; }, {1, 1}, 0,
      {0.5, -0.5}, none);
}

void add_matrices(Points& p) {
  const auto det = [](const Tensor& x) { return ag::det(ag::reshape(x, {2, 2})); };
  const V hessian{0, 0, 0, 1, 0, 0, -1, 0, 0, -1, 0, 0, 1, 0, 0, 0};
  whole(p, "det", det, {0, 0, 0, 0}, 0, {0, 0, 0, 0}, hessian);
  whole(p, "det", det, {1, 1, 1, 1}, 0, {1, -1, -1, 1}, hessian);
  const auto norm = [](const Tensor& x) { return ag::matrix_norm(ag::reshape(x, {1, 2})); };
  whole(p, "matrix_norm", norm, {0, 2}, 2, {0, 1}, {0.5, 0, 0, 0});
  whole(p, "matrix_norm", norm, {0, 0}, 0, {0, 0}, {0, 0, 0, 0});
}

}  // namespace

void add_points(std::vector<Row>& rows) {
  Points points;
  add_functions(points);
  add_activations(points);
  add_reductions(points);
  add_matrices(points);
  for (Row& row : rows)
    if (const auto found = points.find(row.name); found != points.end()) {
      row.points = found->second;
      points.erase(found);
    }
  for (const auto& [name, none] : points) ag::fail("points", "must belong to a row, got {}", name);
}

}  // namespace table
