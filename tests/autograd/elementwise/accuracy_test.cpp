#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

constexpr double kInf = INFINITY;

using Function = Tensor (*)(const Tensor&);

// |got - want| in units of the last place of want; infinite where only one of them is finite.
template <class T>
double units(T got, long double exact) {
  const T want = static_cast<T>(exact);
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) == std::isnan(got) ? 0 : kInf;
  if (got == want) return 0;
  if (std::isinf(want) || std::isinf(got)) return kInf;
  const T size = std::abs(want), next = std::nextafter(size, std::numeric_limits<T>::infinity());
  return static_cast<double>(std::abs(got - exact) / (next - size));
}

template <class T>
void check_units(const std::string& name, Function f, long double (*exact)(long double),
                 const std::vector<T>& points, double limit) {
  const auto y = f(ag::tensor(points)).template to_vector<T>();
  double worst = 0;
  T at = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double u = units(y[i], exact(points[i]));
    if (u > worst) worst = u, at = points[i];
  }
  INFO(name << " is off by " << worst << " units in the last place at " << std::hexfloat << at);
  CHECK(worst <= limit);
}

// Every 20011th float: all exponents, also denormal numbers, infinities and NaN; and numbers of common sizes, of
// which those are few.
std::vector<float> some_floats() {
  std::vector<float> all;
  std::mt19937 engine(3);
  std::uniform_real_distribution<float> near(-1, 1);
  for (int i = 0; i < 40000; ++i) {
    all.push_back(near(engine));
    all.push_back(near(engine) * 4);
  }
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 20011)
    all.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  return all;
}
// Any bits at all, and numbers of common sizes.
std::vector<double> some_doubles() {
  std::mt19937_64 engine(3);
  std::uniform_real_distribution<double> near(-30, 30), exponent(-30, 10);
  std::vector<double> all;
  for (int i = 0; i < 40000; ++i) {
    all.push_back(std::bit_cast<double>(engine()));
    all.push_back(near(engine));
    all.push_back(near(engine) / 20);
    all.push_back(std::copysign(std::exp2(exponent(engine)), near(engine)));
  }
  for (double x = -745.5; x < 712; x += 0.37) all.push_back(x);
  return all;
}

#define XGRAD_EXACT(f) #f, ag::f, [](long double x) { return std::f(x); }

// By how many units in the last place a function may be off.
struct Exact {
  const char* name;
  Function f;
  long double (*exact)(long double);
  double limit;
};
const std::vector<Exact>& exact_rows() {
  static const std::vector<Exact> rows{
      {XGRAD_EXACT(exp), 1.1},
      {XGRAD_EXACT(exp2), 1.1},
      {XGRAD_EXACT(expm1), 2},
      {XGRAD_EXACT(log), 1},
      {XGRAD_EXACT(log2), 2},
      {XGRAD_EXACT(log10), 1},
      {XGRAD_EXACT(log1p), 1},
      {XGRAD_EXACT(sqrt), 0.51},
      {XGRAD_EXACT(cbrt), 0.8},
      {XGRAD_EXACT(sin), 2.2},
      {XGRAD_EXACT(cos), 2.2},
      {XGRAD_EXACT(tan), 3.1},
      {XGRAD_EXACT(asin), 2.5},
      {XGRAD_EXACT(acos), 2},
      {XGRAD_EXACT(atan), 2.5},
      {XGRAD_EXACT(sinh), 2},
      {XGRAD_EXACT(cosh), 2},
      {XGRAD_EXACT(tanh), 2},
      {XGRAD_EXACT(asinh), 2},
      {XGRAD_EXACT(acosh), 2},
      {XGRAD_EXACT(atanh), 2},
      {XGRAD_EXACT(erf), 1.1},
      {XGRAD_EXACT(erfc), 3.3},
      {XGRAD_EXACT(floor), 0},
      {XGRAD_EXACT(ceil), 0},
      {XGRAD_EXACT(trunc), 0},
      {"round", ag::round, [](long double x) { return std::nearbyint(x); }, 0},
      {"pow", [](const Tensor& x) { return ag::pow(x, 2.5); },
       [](long double x) { return std::pow(x, 2.5L); }, 0.8},
      {"pow", [](const Tensor& x) { return ag::pow(x, -0.75); },
       [](long double x) { return std::pow(x, -0.75L); }, 0.8},
      {"pow", [](const Tensor& x) { return ag::pow(x, 3); },
       [](long double x) { return x * x * x; }, 0.8}};
  return rows;
}

// Beside the same in the C++ standard library, in float64.
struct Standard {
  const char* name;
  Function f;
  double (*reference)(double);
  double rtol = 4e-15;
};
const std::vector<Standard>& standard_rows() {
  static const std::vector<Standard> rows{
      {"neg", ag::neg, [](double x) { return -x; }},
      {"abs", ag::abs, [](double x) { return std::fabs(x); }},
      {"sign", ag::sign, [](double x) { return x > 0   ? 1.0
                                               : x < 0 ? -1.0
                                                       : x; }},
      {"square", ag::square, [](double x) { return x * x; }},
      {"rsqrt", ag::rsqrt, [](double x) { return 1 / std::sqrt(x); }},
      {"reciprocal", ag::reciprocal, [](double x) { return 1 / x; }},
      {"lgamma", ag::lgamma, [](double x) { return std::lgamma(x); }},
      {"sigmoid", ag::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"relu", ag::relu, [](double x) { return std::isnan(x) ? x : std::fmax(x, 0); }},
      {"gelu", ag::gelu, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2)); }},
      {"gelu_tanh", ag::gelu_tanh,
       [](double x) {
         return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
       }},
      {"softplus", ag::softplus, [](double x) { return x > 30 ? x : std::log1p(std::exp(x)); }},
      {"logsigmoid", ag::logsigmoid,
       [](double x) { return x < -30 ? x : -std::log1p(std::exp(-x)); }},
      {"silu", ag::silu, [](double x) { return x / (1 + std::exp(-x)); }},
      {"mish", ag::mish,
       [](double x) { return x * (x > 30 ? 1 : std::tanh(std::log1p(std::exp(x)))); }},
      {"elu", [](const Tensor& x) { return ag::elu(x, 1.5); },
       [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); }},
      {"celu", [](const Tensor& x) { return ag::celu(x, 1.5); },
       [](double x) { return x > 0 ? x : 1.5 * std::expm1(x / 1.5); }},
      {"selu", ag::selu,
       [](double x) {
         return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x));
       }},
      {"leaky_relu", [](const Tensor& x) { return ag::leaky_relu(x); },
       [](double x) { return x > 0 ? x : 0.01 * x; }},
      {"relu6", ag::relu6,
       [](double x) { return std::isnan(x) ? x : std::fmin(std::fmax(x, 0), 6); }},
      {"hardtanh", [](const Tensor& x) { return ag::hardtanh(x); },
       [](double x) { return std::isnan(x) ? x : std::fmin(std::fmax(x, -1), 1); }},
      {"hardsigmoid", ag::hardsigmoid,
       [](double x) { return std::isnan(x) ? x : std::fmin(std::fmax(x / 6 + 0.5, 0), 1); }},
      {"hardswish", ag::hardswish,
       [](double x) { return x <= -3  ? 0
                             : x >= 3 ? x
                                      : x * (x + 3) / 6; }},
      {"softsign", ag::softsign, [](double x) { return x / (1 + std::fabs(x)); }},
      {"tanhshrink", ag::tanhshrink, [](double x) { return x - std::tanh(x); }},
      {"softshrink", [](const Tensor& x) { return ag::softshrink(x); },
       [](double x) { return x > 0.5    ? x - 0.5
                             : x < -0.5 ? x + 0.5
                                        : 0 * x; }},
      {"hardshrink", [](const Tensor& x) { return ag::hardshrink(x); },
       [](double x) { return std::fabs(x) <= 0.5 ? 0 : x; }},
      {"threshold", [](const Tensor& x) { return ag::threshold(x, 0.1, 20); },
       [](double x) { return x <= 0.1 ? 20 : x; }},
      {"nan_to_num", [](const Tensor& x) { return ag::nan_to_num(x, 7, 8); },
       [](double x) {
         return std::isnan(x)   ? 7
                : x == INFINITY ? 8
                                : std::fmax(x, std::numeric_limits<double>::lowest());
       }},
      {"isnan", [](const Tensor& x) { return ag::isnan(x).to(ag::float64); },
       [](double x) { return std::isnan(x) ? 1.0 : 0.0; }},
      {"isinf", [](const Tensor& x) { return ag::isinf(x).to(ag::float64); },
       [](double x) { return std::isinf(x) ? 1.0 : 0.0; }},
      {"isfinite", [](const Tensor& x) { return ag::isfinite(x).to(ag::float64); },
       [](double x) { return std::isfinite(x) ? 1.0 : 0.0; }},
      {"fmod", [](const Tensor& x) { return ag::fmod(x, -0.7); },
       [](double x) { return std::fmod(x, -0.7); }},
      {"remainder", [](const Tensor& x) { return ag::remainder(x, -0.7); },
       [](double x) {
         const double r = std::fmod(x, -0.7);
         return r > 0 ? r - 0.7 : r;
       }},
      {"atan2", [](const Tensor& x) { return ag::atan2(x, -x - 1); },
       [](double x) { return std::atan2(x, -x - 1); }},
      {"hypot", [](const Tensor& x) { return ag::hypot(x, 3); },
       [](double x) { return std::hypot(x, 3); }},
      {"logaddexp", [](const Tensor& x) { return ag::logaddexp(x, 2 - x); },
       [](double x) {
         const double d = std::fabs(2 * x - 2);
         return std::isinf(x) ? INFINITY : std::fmax(x, 2 - x) + std::log1p(std::exp(-d));
       }},
      {"xlogy", [](const Tensor& x) { return ag::xlogy(x, x); },
       [](double x) { return x == 0 ? 0 : x * std::log(x); }},
      {"add", [](const Tensor& x) { return x + 0.7; }, [](double x) { return x + 0.7; }},
      {"sub", [](const Tensor& x) { return 0.7 - x; }, [](double x) { return 0.7 - x; }},
      {"mul", [](const Tensor& x) { return x * -0.7; }, [](double x) { return x * -0.7; }},
      {"div", [](const Tensor& x) { return 0.7 / x; }, [](double x) { return 0.7 / x; }},
      {"pow", [](const Tensor& x) { return ag::pow(x, 2.5); },
       [](double x) { return std::pow(x, 2.5); }},
      {"pow", [](const Tensor& x) { return ag::pow(x, -3); },
       [](double x) { return std::pow(x, -3); }},
      {"pow", [](const Tensor& x) { return ag::pow(1.5, x); },
       [](double x) { return std::pow(1.5, x); }},
      {"maximum", [](const Tensor& x) { return ag::maximum(x, 0.7); },
       [](double x) { return std::isnan(x) ? x : std::fmax(x, 0.7); }},
      {"minimum", [](const Tensor& x) { return ag::minimum(x, 0.7); },
       [](double x) { return std::isnan(x) ? x : std::fmin(x, 0.7); }},
      {"lerp", [](const Tensor& x) { return ag::lerp(x, 3 * x, 0.3); },
       [](double x) { return x + 0.3 * (3 * x - x); }},
      {"clamp", [](const Tensor& x) { return ag::clamp(x, -1.5, 2.5); },
       [](double x) { return std::isnan(x) ? x : std::fmin(std::fmax(x, -1.5), 2.5); }},
      {"equal", [](const Tensor& x) { return (x == 1).to(ag::float64); },
       [](double x) { return x == 1 ? 1.0 : 0.0; }},
      {"not_equal", [](const Tensor& x) { return (x != 1).to(ag::float64); },
       [](double x) { return x != 1 ? 1.0 : 0.0; }},
      {"less", [](const Tensor& x) { return (x < 1).to(ag::float64); },
       [](double x) { return x < 1 ? 1.0 : 0.0; }},
      {"less_equal", [](const Tensor& x) { return (x <= 1).to(ag::float64); },
       [](double x) { return x <= 1 ? 1.0 : 0.0; }},
      {"greater", [](const Tensor& x) { return (x > 1).to(ag::float64); },
       [](double x) { return x > 1 ? 1.0 : 0.0; }},
      {"greater_equal", [](const Tensor& x) { return (x >= 1).to(ag::float64); },
       [](double x) { return x >= 1 ? 1.0 : 0.0; }}};
  return rows;
}

// Beside values of mpmath; by how many units in the last place ours may be off.
struct Published {
  const char* name;
  Function f;
  double limit;
  std::vector<double> x, values;
};
const std::vector<Published>& published_rows() {
  static const std::vector<double> places{0.1, 1, 1.5, 7.25, 1e5, -0.5, -3.75},
      in_range{1e-20, 0.1, 0.5, 0.9, 0.999999, 0.99999999999},
      digammas{-10.4237549404110762, -0.577215664901532861, 0.0364899739785765206,
               1.91045352688373603,  11.5129204649618951,   0.0364899739785765206,
               -1.69238859831133034};
  static const std::vector<Published> rows{
      {"digamma", ag::digamma, 90, places, digammas},
      {"polygamma", [](const Tensor& x) { return ag::polygamma(0, x); }, 90, places, digammas},
      {"polygamma",
       [](const Tensor& x) { return ag::polygamma(1, x); },
       90,
       places,
       {101.433299150792748, 1.64493406684822644, 0.934802200544679309, 0.14787923315893217,
        0.0000100000500001666667, 8.93480220054467931, 19.5049800605995753}},
      {"polygamma",
       [](const Tensor& x) { return ag::polygamma(2, x); },
       90,
       places,
       {-2001.86145737834367, -2.40411380631918857, -0.828796644234319996, -0.0218289522951977392,
        -1.00001000005e-10, -0.828796644234319996, -124.079727133789254}},
      {"polygamma",
       [](const Tensor& x) { return ag::polygamma(5, x); },
       90,
       places,
       {120000069.307510929, 122.081167438133897, 11.1135486024354962, 0.00166735751922825599,
        2.4000600006e-24, 15371.1135486024355, 492231.250903376142}},
      {"erfinv",
       ag::erfinv,
       2,
       in_range,
       {8.86226925452757965e-21, 0.088855990494257692, 0.476936276204469873, 1.16308715367667416,
        3.45891073727549878, 4.81292405894483254}},
      {"erfinv",
       [](const Tensor& x) { return -ag::erfinv(-x); },
       2,
       in_range,
       {8.86226925452757965e-21, 0.088855990494257692, 0.476936276204469873, 1.16308715367667416,
        3.45891073727549878, 4.81292405894483254}}};
  return rows;
}

// Bases of any bits, with powers for which results lie in the whole range and a little beyond.
template <class T>
void check_powers() {
  std::mt19937_64 engine(11);
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const double most = std::numeric_limits<T>::max_exponent + 10;
  std::uniform_real_distribution<double> exponent(-most - std::numeric_limits<T>::digits, most);
  std::vector<T> a, b;
  while (a.size() < 100000) {
    T x = std::abs(std::bit_cast<T>(static_cast<Bits>(engine())));
    if (engine() % 4 == 0) x = static_cast<T>(1 + std::exp2(exponent(engine) / most * 30) / 2e9);
    const double y = exponent(engine) / std::log2(static_cast<double>(x));
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    a.push_back(x), b.push_back(static_cast<T>(y));
  }
  const auto y = ag::pow(ag::tensor(a), ag::tensor(b)).template to_vector<T>();
  double worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double u = units(y[i], std::pow(static_cast<long double>(a[i]), b[i]));
    if (u > worst) worst = u, at = i;
  }
  INFO("pow is off by " << worst << " units in the last place at " << std::hexfloat << a[at] << ", "
                        << b[at]);
  CHECK(worst <= 0.8);
}

// Powers of whole numbers and of eighths that T holds; with a number and with a tensor for the power.
template <class T>
void check_whole_powers() {
  for (int power = 0; power <= 24; ++power) {
    std::vector<T> bases, want;
    for (int base = -60; base <= 60; ++base) {
      std::int64_t y = 1;
      for (int k = 0; k < power && std::abs(y) < (1ll << 53); ++k) y *= base;
      if (std::abs(y) >= (1ll << 53) || static_cast<std::int64_t>(static_cast<T>(y)) != y) continue;
      for (const int places : {0, 3}) {
        bases.push_back(std::ldexp(static_cast<T>(base), -places));
        want.push_back(std::ldexp(static_cast<T>(y), -places * power));
      }
    }
    const Tensor x = ag::tensor(bases);
    INFO("power " << power);
    CHECK(ag::pow(x, power).template to_vector<T>() == want);
    CHECK(ag::pow(x, ag::full_like(x, power)).template to_vector<T>() == want);
  }
}

}  // namespace

TEST_CASE("powers are right to the last place over the whole range, of any base") {
  check_powers<float>();
  check_powers<double>();
}

TEST_CASE("powers that the dtype holds are exact") {
  CHECK(ag::pow(ag::tensor(3.0), 3.0).item() == 27);
  CHECK(ag::pow(ag::tensor(10.0f), 10.0).item() == 1e10);
  CHECK(ag::pow(2.0, ag::tensor({-1074.0, 1023.0})).to_vector<double>() ==
        std::vector<double>{0x1p-1074, 0x1p1023});
  CHECK(ag::pow(ag::tensor({1.5625, 1e10}), ag::tensor({0.5, 0.5})).to_vector<double>() ==
        std::vector<double>{1.25, 1e5});
  check_whole_powers<float>();
  check_whole_powers<double>();
}

TEST_CASE("a number and a tensor as the power give the same bits") {
  const Tensor all = ag::tensor(some_floats()), x = ag::masked_select(all, all == all);
  for (const double power : {0.5, 1.0, 2.0, -1.0, 3.0, 2.5}) {
    INFO("power " << power);
    CHECK(same_bits(ag::pow(x, power), ag::pow(x, ag::full_like(x, power))));
    if (power == 1) CHECK(same_bits(ag::pow(x, power), x));
  }
}

TEST_CASE("gelu of float32 keeps its digits in the tail") {
  std::vector<float> points;
  for (int i = 0; i <= 24000; ++i) points.push_back(-12.0f + 0.001f * static_cast<float>(i));
  check_units<float>(
      "gelu", ag::gelu, [](long double x) { return 0.5L * x * std::erfc(-x / std::sqrt(2.0L)); },
      points, 5);
}

TEST_CASE("functions are right to the last places on all floats and doubles") {
  const std::vector<float> floats = some_floats();
  const std::vector<double> doubles = some_doubles();
  for (const auto& [name, f, exact, limit] : exact_rows()) {
    check_units(std::string(name) + " (float32)", f, exact, floats, limit);
    check_units(std::string(name) + " (float64)", f, exact, doubles, limit);
  }
}

TEST_CASE("functions keep the sign of zero") {
  for (const Function f : {ag::expm1, ag::log1p, ag::sin, ag::tan, ag::asin, ag::atan, ag::sinh,
                           ag::tanh, ag::asinh, ag::atanh, ag::cbrt, ag::erf, ag::erfinv, ag::floor,
                           ag::ceil, ag::trunc, ag::round, ag::sqrt})
    for (const ag::DType dtype : {ag::float32, ag::float64}) {
      CHECK(std::signbit(f(ag::full({}, -0.0, dtype)).item()));
      CHECK_FALSE(std::signbit(f(ag::full({}, 0.0, dtype)).item()));
    }
  CHECK(std::signbit(ag::ceil(ag::tensor(-0.5)).item()));
  CHECK(std::signbit(ag::round(ag::tensor(-0.5f)).item()));
}

TEST_CASE("elementwise values agree with the C++ standard library over their whole range") {
  std::vector<double> points{0.0, 1e-300, -1e-12, 1e-8, -0.5,     1,         -2,
                             10,  -30,    80,     300,  INFINITY, -INFINITY, NAN};
  for (int i = 0; i < 2000; ++i) points.push_back(-20 + 0.02 * i);
  const Tensor x = ag::tensor(points);
  for (const auto& [name, f, reference, rtol] : standard_rows()) {
    const auto y = f(x).to_vector<double>();
    for (std::size_t i = 0; i < points.size(); ++i) {
      const double z = reference(points[i]);
      INFO(name << "(" << points[i] << ") = " << y[i] << ", expected " << z);
      const bool same = std::isnan(z)   ? std::isnan(y[i])
                        : std::isinf(z) ? y[i] == z
                                        : std::abs(y[i] - z) <= 1e-15 + rtol * std::abs(z);
      CHECK(same);
    }
  }
}

TEST_CASE("digamma, polygamma and erfinv have the values of mpmath") {
  for (const auto& [name, f, limit, x, values] : published_rows()) {
    const auto y = f(ag::tensor(x)).to_vector<double>();
    for (std::size_t i = 0; i < x.size(); ++i) {
      INFO(name << "(" << x[i] << ") = " << y[i] << ", expected " << values[i]);
      CHECK(units(y[i], values[i]) <= limit);
    }
  }
}

TEST_CASE("every elementwise operation has a row of accuracy") {
  std::set<std::string> rows;
  for (const auto& row : exact_rows()) rows.insert(row.name);
  for (const auto& row : standard_rows()) rows.insert(row.name);
  for (const auto& row : published_rows()) rows.insert(row.name);
  const auto check = [&](const std::string& name) {
    INFO(name << ": add a row to tests/autograd/elementwise/accuracy_test.cpp: its values over the "
                 "whole range, beside those of the standard library");
    CHECK(rows.count(name) == 1);
  };
#define PRIMITIVE(op, ...) check(#op);
#define UNARY(op, ...) check(#op);
#define BINARY(op, ...) check(#op);
#define TERNARY(op, ...) check(#op);
#define COMPARE(op, ...) check(#op);
#include "autograd/formulas/elementwise.def"
}
