
#include <cmath>
#include <string>
#include <utility>

#include "autograd/autograd.hpp"
#include "autograd/kernels/codegen/machine.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

Tensor values(const ag::Shape& shape) {
  ag::Generator g(5);
  return ag::rand(shape, ag::float64, g) + 0.25;
}

const auto swish = ag::elementwise("swish", [](auto x) {
  using std::exp;
  return x / (1 + exp(-x));
});

const auto everything = ag::elementwise("everything", [](auto a, auto b, auto c) {
  using std::abs, std::cos, std::exp, std::log, std::pow, std::sin, std::sqrt, std::tanh;
  auto y = where(((a > b) & (c > -9)) | ~(a <= b), sin(a) * c, maximum(cos(b), 0.1) - pow(c, 2.5));
  y += log1p(square(a)) + expm1(b) / 3 - erf(c);
  y *= 2;
  y -= sigmoid(a) + softplus(b) + relu(c) + gelu(a) + clamp(b, 0.0, 0.9);
  return y + minimum(abs(a - 5), sqrt(b)) + tanh(log(c)) + exp(-a) * pow(b, c) + sign(c) + neg(a);
});

const auto newer = ag::elementwise("newer", [](auto a, auto b, auto c) {
  using std::acosh, std::asin, std::asinh, std::atan, std::atanh, std::cosh, std::sinh, std::tan;
  using std::atan2, std::cbrt, std::erfc, std::exp2, std::hypot, std::lerp, std::log10, std::log2;
  auto y = tan(a) * asin(0.5 * b) + atan(c) - sinh(a) / cosh(b) + asinh(c) * acosh(a + 2);
  y += atanh(a / 2) + exp2(b) - log2(c) * log10(a) + cbrt(c) + rsqrt(b) * reciprocal(a);
  y += erfc(a) * erfinv(b / 2) + lgamma(c) - digamma(a) + polygamma(2, b) + polygamma(1, c);
  y -= fmod(a + 3, 10) * remainder(b, 7.0) + atan2(a, b) + hypot(c, 2) * hypot(a, b);
  y += logaddexp(a, b) + xlogy(a, 2.0) + lerp(a, b, 0.3) + lerp(a, b, c) + floor(a) * ceil(b);
  y += logsigmoid(a) + silu(b) + mish(c) + gelu_tanh(a) + selu(b - 2) + hardsigmoid(a);
  y -= hardswish(a) + softsign(b) + tanhshrink(c) + round(b) * trunc(c);
  y += leaky_relu(a - 3, 0.2) + elu(b - 3, 1.5) + celu(c - 3, 1.5) + leaky_relu(-a, b);
  return y + softshrink(a, 0.1) + hardshrink(b, 0.1) + threshold(c, 0.1, 2.0) + hardtanh(a, -9, 9);
});

}  // namespace

TEST_CASE("a formula of the user's has the value and derivatives of its tensor form") {
  const Tensor x = values({3, 21});
  const Tensor y = swish(x), z = x / (1.0 + ag::exp(-x));
  for (std::int64_t i = 0; i < x.numel(); ++i)
    CHECK(y.data<double>()[i] == Catch::Approx(z.data<double>()[i]).epsilon(1e-14));
  CHECK(ag::gradgradcheck([](const Tensor& t) { return swish(t); }, {x}).report() == "passed");
}

TEST_CASE("a formula may use every elementwise operation and broadcast several inputs") {
  const Tensor a = values({2, 1, 3}), b = values({4, 1}) * 0.7, c = values({3}) * 0.8;
  const auto check = ag::gradgradcheck(
      [](const Tensor& x, const Tensor& y, const Tensor& z) { return everything(x, y, z); },
      {a, b, c});
  CHECK(check.report() == "passed");
  const auto again = ag::gradgradcheck(
      [](const Tensor& x, const Tensor& y, const Tensor& z) { return newer(x, y, z); }, {a, b, c});
  CHECK(again.report() == "passed");
  CHECK(everything(a, b, c).shape() == ag::Shape(2, 4, 3));
}

TEST_CASE("a formula may carry numbers of its own, and outlives its object on the tape") {
  const Tensor x = values({5}).detach().requires_grad_();
  Tensor y;
  {
    const double slope = 3;
    const auto scaled = ag::elementwise("scaled", [slope](auto v) { return slope * v * v; });
    y = scaled(x);
  }
  const Tensor g = ag::grad({ag::sum(y)}, {x}, {.create_graph = true})[0];
  const Tensor h = ag::grad({ag::sum(g)}, {x})[0];
  for (std::int64_t i = 0; i < 5; ++i) {
    CHECK(g.data<double>()[i] == Catch::Approx(6 * x.data<double>()[i]));
    CHECK(h.data<double>()[i] == Catch::Approx(6));
  }
}

TEST_CASE("a formula does not depend on the position of an element") {
  Tensor x = ag::full({100}, 0.3);
  const auto y = swish(x).to_vector<float>();
  for (const float v : y) CHECK(v == y[0]);
  CHECK(swish(ag::full({}, 0.3)).item<float>() == y[0]);
}

TEST_CASE("a gradient in place of its cotangent has the same bits, for any number of elements") {
  for (const ag::DType dtype : {ag::float32, ag::float64})
    for (std::int64_t n = 1; n <= 70; ++n) {
      const Tensor x = values({n}).to(dtype).detach().requires_grad_(), y = ag::square(x);
      const Tensor z = ag::tanh(y), g = values({n}).to(dtype);
      const Tensor kept = ag::grad({z}, {y}, {.grad_outputs = {g}, .retain_graph = true})[0];
      const Tensor apart = ag::grad({y}, {x}, {.grad_outputs = {kept}, .retain_graph = true})[0];
      CAPTURE(n);
      CHECK(same_bits(ag::grad({z}, {x}, {.grad_outputs = {g}})[0], apart));
    }
}

TEST_CASE("short runs of broadcast operands are joined without a change of bits") {
  const auto product = [](const Tensor& a, const Tensor& b) { return swish(a) * b - a / b; };
  struct Case {
    ag::Shape a, b, whole;
  };
  const Case cases[] = {{{301, 7}, {7}, {301, 7}},
                        {{301, 7}, {301, 1}, {301, 7}},
                        {{301, 1}, {7}, {301, 7}},
                        {{99, 3, 5}, {99, 1, 5}, {99, 3, 5}},
                        {{40, 1, 9, 1}, {30, 1, 3}, {40, 30, 9, 3}},
                        {{5, 2, 1}, {2, 99}, {5, 2, 99}}};
  for (const auto dtype : {ag::float32, ag::float64})
    for (const Case& c : cases) {
      INFO(fmt::format("{} and {}", c.a, c.b));
      const Tensor a = values(c.a).to(dtype), b = values(c.b).to(dtype);
      CHECK(same_bits(product(a, b), product(ag::expand(a, c.whole), ag::expand(b, c.whole))));
      CHECK(same_bits(product(b, a), product(ag::expand(b, c.whole), ag::expand(a, c.whole))));
    }
}

TEST_CASE("a formula without captures has the bits of its operations", "[jit]") {
  if (!ag::kernels::MachineCode::available()) return;
  const auto f = [](auto a, auto b) {
    using std::exp, std::tanh;
    return where(a > b, tanh(0.8 * (a + 0.04 * a * a * a)), maximum(a, 0.5) / (1 + exp(-b)));
  };
  const auto formula = ag::elementwise("f", f);
  for (const std::int64_t n : {1, 5, 3000}) {
    const Tensor a = values({n}).to(ag::float32), b = a - 0.5, number = ag::full({}, 0.4);
    CHECK(same_bits(formula(a, b), f(a, b)));
    CHECK(same_bits(formula(a, number), f(a, number)));
  }
}

namespace {

const auto costly = ag::elementwise("costly", [](auto x) {
  using std::exp, std::log;
  return x * x / (1 + exp(-x)) - log(1 + x * x);
});

// f of pieces that are too short for derivatives to be kept.
template <class F>
Tensor in_pieces(const F& f, const TensorList& in) {
  TensorList pieces;
  for (std::int64_t i = 0; i < in[0].numel(); i += 1000) {
    TensorList piece;
    for (const Tensor& t : in)
      piece.push_back(ag::narrow(t, 0, i, 1000).detach().requires_grad_(t.requires_grad()));
    pieces.push_back(f(piece));
  }
  return ag::concat(pieces).detach();
}

}  // namespace

TEST_CASE("a formula that keeps its derivative has the bits of one that computes it again",
          "[jit]") {
  if (!ag::kernels::MachineCode::available()) return;
  for (const ag::DType dtype : {ag::float32, ag::float64}) {
    const Tensor x = values({9000}).to(dtype).detach().requires_grad_(), g = x.detach() - 0.7;
    const Tensor y = costly(x);
    REQUIRE(y.impl()->node->saved().size() == 2);  // the operand and the derivative
    const auto check = [&](const Tensor& got, const auto& f) {
      CHECK(same_bits(got, in_pieces(f, {x, g})));
    };
    check(y, [](const TensorList& in) { return costly(in[0]); });
    const auto first = [](const TensorList& in) {
      return ag::grad({costly(in[0])}, {in[0]}, {.grad_outputs = {in[1]}})[0];
    };
    const ag::GradOptions kept{.grad_outputs = {g}, .retain_graph = true};
    check(ag::grad({y}, {x}, kept)[0], first);
    check(ag::grad({y}, {x}, kept)[0], first);
    const Tensor slope = ag::grad({y}, {x}, {.grad_outputs = {g}, .create_graph = true})[0];
    check(ag::grad({ag::sum(slope)}, {x}, {.retain_graph = true})[0], [](const TensorList& in) {
      const Tensor s =
          ag::grad({costly(in[0])}, {in[0]}, {.grad_outputs = {in[1]}, .create_graph = true})[0];
      return ag::grad({ag::sum(s)}, {in[0]})[0];
    });
    const auto rows = ag::vmap([&](const Tensor& v) {
      return ag::grad({y}, {x}, {.grad_outputs = {v}, .retain_graph = true})[0];
    })(ag::stack({g, 2.0 * g}));
    check(rows[0], first);
    check(ag::grad({y}, {x}, {.grad_outputs = {g}})[0], first);
    check(ag::grad({ag::sum(g * costly(x) + 2.0 * costly(x))}, {x})[0], [](const TensorList& in) {
      return ag::grad({ag::sum(in[1] * costly(in[0]) + 2.0 * costly(in[0]))}, {in[0]})[0];
    });
    const auto tangent = [](const TensorList& in) {
      return ag::jvp([](const Tensor& t) { return costly(t); }, in[0], in[1]);
    };
    check(tangent({x, g}), tangent);
    CHECK(same_bits(tangent({x.detach(), g}), in_pieces(tangent, {x.detach(), g})));
    const auto step = [](const Tensor& t) { return ag::grad({ag::sum(costly(t))}, {t})[0]; };
    CHECK(same_bits(ag::compile(step)(x), step(x)));
  }
}

TEST_CASE("a formula keeps no derivative where it saves little, or nothing is recorded", "[jit]") {
  const Tensor x = values({9000}).detach().requires_grad_();
  const auto cheap = ag::elementwise("cheap", [](auto v) { return v * v + 1; });
  CHECK(cheap(x).impl()->node->saved().size() == 1);
  CHECK(costly(ag::narrow(x, 0, 0, 1000)).impl()->node->saved().size() == 1);
  const ag::NoGrad no_grad;
  CHECK(!costly(x).requires_grad());
}

TEST_CASE("a number in a formula has no derivative, not even times infinity") {
  const auto line = ag::elementwise(
      "line", [](auto x) { return 1 - (2 * x * 0.25 - 3 + 1) / 4 + (5 + x) * 0.5; });
  const Tensor x = ag::tensor({HUGE_VAL, -HUGE_VAL, 0.0}).requires_grad_();
  for (const double g : ag::grad({ag::sum(line(x))}, {x})[0].to_vector<double>()) CHECK(g == 0.375);
}

TEST_CASE("a formula refuses integers and mixed dtypes") {
  CHECK_THROWS_WITH(swish(ag::arange(3)),
                    ContainsSubstring("swish: needs float32 or float64, got int64"));
  const auto product = ag::elementwise("product", [](auto a, auto b) { return a * b; });
  CHECK_THROWS_WITH(product(ag::ones({2}), ag::ones({2}, ag::float64)),
                    ContainsSubstring("product: dtypes must match, got float32 and float64"));
  CHECK_THROWS_WITH(
      product(ag::ones({2}), ag::ones({3})),
      ContainsSubstring("product: shapes must broadcast, got (2,) and (3,): 2 != 3 on axis 0"));
}

TEST_CASE("comparisons and choices refuse operands of two dtypes") {
  const Tensor one = ag::ones({3}), condition = one > 0.0;
  const std::pair<Tensor, std::string> others[] = {{ag::ones({3}, ag::float64), "float64"},
                                                   {ag::ones({3}, ag::int64), "int64"},
                                                   {condition, "bool"}};
  for (const auto& [other_operand, its_name] : others) {
    const auto refused = [&, other = other_operand, name = its_name](const char* op, auto&& f) {
      const std::string what = op + std::string(": dtypes must match, got ");
      CHECK_THROWS_WITH(f(one, other), ContainsSubstring(what + "float32 and " + name));
      CHECK_THROWS_WITH(f(other, one), ContainsSubstring(what + name + " and float32"));
    };
    refused("equal", [](const Tensor& a, const Tensor& b) { return a == b; });
    refused("not_equal", [](const Tensor& a, const Tensor& b) { return a != b; });
    refused("less", [](const Tensor& a, const Tensor& b) { return a < b; });
    refused("less_equal", [](const Tensor& a, const Tensor& b) { return a <= b; });
    refused("greater", [](const Tensor& a, const Tensor& b) { return a > b; });
    refused("greater_equal", [](const Tensor& a, const Tensor& b) { return a >= b; });
    refused("where", [&](const Tensor& a, const Tensor& b) { return ag::where(condition, a, b); });
  }
}

TEST_CASE("a formula of empty tensors is empty") {
  CHECK(swish(ag::zeros({0, 3})).shape() == ag::Shape(0, 3));
}
