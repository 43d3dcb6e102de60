#include <cmath>

#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/activation.hpp"
#include "nn/module/any_module.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

struct Case {
  nn::AnyModule layer;
  std::string repr;
  double (*value)(double);  // of one element
};

double expm1_times(double x, double alpha) { return x > 0 ? x : alpha * std::expm1(x); }
double limited(double x, double low, double high) { return std::fmin(std::fmax(x, low), high); }

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {nn::ReLU6(), "ReLU6()", [](double x) { return limited(x, 0, 6); }},
      {nn::LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)",
       [](double x) { return x > 0 ? x : 0.2 * x; }},
      {nn::PReLU(), "PReLU(num_parameters=1)", [](double x) { return x > 0 ? x : 0.25 * x; }},
      {nn::ELU(), "ELU(alpha=1.0)", [](double x) { return expm1_times(x, 1); }},
      {nn::SELU(), "SELU()",
       [](double x) { return 1.0507009873554805 * expm1_times(x, 1.6732632423543772); }},
      {nn::CELU(2), "CELU(alpha=2.0)", [](double x) { return 2 * expm1_times(x / 2, 1); }},
      {nn::SiLU(), "SiLU()", [](double x) { return x / (1 + std::exp(-x)); }},
      {nn::Mish(), "Mish()", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }},
      {nn::GELU(nn::GELU::Approximate::tanh), "GELU(approximate='tanh')",
       [](double x) {
         return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
       }},
      {nn::Hardsigmoid(), "Hardsigmoid()", [](double x) { return limited(x / 6 + 0.5, 0, 1); }},
      {nn::Hardswish(), "Hardswish()", [](double x) { return x * limited(x / 6 + 0.5, 0, 1); }},
      {nn::Hardtanh(-2, 0.5), "Hardtanh(min_val=-2.0, max_val=0.5)",
       [](double x) { return limited(x, -2, 0.5); }},
      {nn::Softsign(), "Softsign()", [](double x) { return x / (1 + std::fabs(x)); }},
      {nn::Softshrink(), "Softshrink(0.5)",
       [](double x) { return x > 0.5    ? x - 0.5
                             : x < -0.5 ? x + 0.5
                                        : 0; }},
      {nn::Hardshrink(0.3), "Hardshrink(0.3)",
       [](double x) { return std::fabs(x) <= 0.3 ? 0 : x; }},
      {nn::Tanhshrink(), "Tanhshrink()", [](double x) { return x - std::tanh(x); }},
      {nn::LogSigmoid(), "LogSigmoid()", [](double x) { return -std::log1p(std::exp(-x)); }},
      {nn::Threshold(0.4, 20), "Threshold(threshold=0.4, value=20.0)",
       [](double x) { return x > 0.4 ? x : 20; }}};
  return all;
}

}  // namespace

TEST_CASE("Activations are their formulas and print as in PyTorch") {
  const std::vector<double> points{-8, -3.5, -2.1, -0.7, -0.35, -0.1, 0.2, 0.45, 1.3, 3.6, 7};
  for (Case c : cases()) {
    INFO(c.repr);
    CHECK(c.layer.module().str() == c.repr);
    c.layer.module().to(ag::float64);
    std::vector<double> expected;
    for (const double x : points) expected.push_back(c.value(x));
    const auto y = c.layer(ag::tensor(points)).to_vector<double>();
    for (std::size_t i = 0; i < y.size(); ++i)
      CHECK(y[i] == Catch::Approx(expected[i]).epsilon(1e-12).margin(1e-14));
    const auto check = ag::gradgradcheck([&](const Tensor& x) { return c.layer(x); },
                                         {ag::tensor(points).detach()});
    CHECK(check.report() == "passed");
  }
}

TEST_CASE("Activations keep the dtype and the shape") {
  for (Case c : cases()) {
    INFO(c.repr);
    CHECK(c.layer(ag::ones({2})).dtype() == ag::float32);
    CHECK(c.layer(ag::ones({})).shape() == ag::Shape());
    CHECK(c.layer(ag::ones({0, 3})).shape() == ag::Shape(0, 3));
  }
}

TEST_CASE("PReLU learns a slope per channel") {
  nn::PReLU layer(3, 0.5);
  CHECK(layer.str() == "PReLU(num_parameters=3)");
  CHECK(layer.parameters().size() == 1);
  const Tensor y = layer(-ag::ones({2, 3, 2, 2}));
  check_close(ag::sum(y), {-12});
  ag::sum(y).backward();
  check_close(layer.weight.grad(), {-8, -8, -8});
  CHECK_THROWS_WITH(layer(ag::ones({2, 4})),
                    "prelu: the weight must be of shape () or (1,) or (4,), one per channel of x "
                    "(2, 4), got (3,)");
  CHECK_THROWS_WITH(nn::PReLU(0), "prelu: num_parameters must be at least 1, got 0");
}

TEST_CASE("GLU gates one half of an axis with the other") {
  CHECK(nn::GLU().str() == "GLU(dim=-1)");
  const Tensor x = ag::tensor({{1.0, 2.0}, {0.0, 0.0}});
  check_close(nn::GLU(0)(x), {0.5, 1});
  check_close(nn::GLU()(x), {1 / (1 + std::exp(-2.0)), 0});
}

TEST_CASE("Activations refuse parameters that make no sense") {
  CHECK_THROWS_WITH(nn::CELU(0), "celu: alpha must not be 0, got 0");
  CHECK_THROWS_WITH(nn::Softshrink(-1), "softshrink: lambda must be at least 0, got -1");
  CHECK_THROWS_WITH(nn::Hardtanh(1, 1), "hardtanh: min_val must be less than max_val, got 1 and 1");
}
