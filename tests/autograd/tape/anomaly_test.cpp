#include <cmath>
#include <limits>
#include <thread>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class F>
std::string message(F f) {
  try {
    f();
  } catch (const ag::Error& e) {
    return e.what();
  }
  return "no error";
}

// x with a gradient that divides by 0.
struct Broken : ag::Function<Broken> {
  static Tensor forward(ag::Context&, const Tensor& x) { return x * 2; }
  static ag::TensorList backward(ag::Context&, const ag::TensorList& g) { return {g[0] / 0}; }
};
struct BrokenForward : ag::Function<BrokenForward> {
  static Tensor forward(ag::Context&, const Tensor& x) { return ag::full(x.shape(), kNaN); }
  static ag::TensorList backward(ag::Context&, const ag::TensorList& g) { return {g[0]}; }
};

}  // namespace

TEST_CASE("anomaly mode names the operation that makes a NaN, its inputs and the line") {
  const Tensor x = ag::tensor({{-1.0, 2.0, -3.0}, {0.5, 0.0, 1.0}});
  CHECK(ag::log(x).numel() == 6);
  const ag::AnomalyMode guard;
  const int line = __LINE__ + 1;
  const std::string text = message([&] { return ag::log(x).numel(); });
  CHECK_THAT(text, ContainsSubstring(
                       "log: results must be finite in anomaly mode, got (2, 3) float64 from "
                       "-0.6931 to 0.6931 with 2 NaN and 1 Inf, from input 0 (2, 3) float64 from "
                       "-3 to 2; called at "));
  CHECK_THAT(text, ContainsSubstring(fmt::format("anomaly_test.cpp:{}", line)));
}

TEST_CASE("anomaly mode names all inputs and says which was not finite") {
  const ag::AnomalyMode guard;
  const Tensor a = ag::tensor({1.0, kInf}), b = ag::tensor({2.0, kInf});
  CHECK_THAT(message([&] { (void)(a - b).numel(); }),
             ContainsSubstring("sub: results must be finite in anomaly mode, got (2,) float64 from "
                               "-1 to -1 with 1 NaN, from input 0 (2,) float64 from 1 to 1 with 1 "
                               "Inf, input 1 (2,) float64 from 2 to 2 with 1 Inf"));
}

TEST_CASE("anomaly mode lets an Inf of the caller's pass and a NaN not") {
  const ag::AnomalyMode guard;
  const Tensor mask = ag::tensor({0.0, -kInf}), scores = ag::tensor({1.0, 2.0}).requires_grad_();
  const Tensor p = ag::softmax(scores + mask, 0);
  CHECK(p.to_vector<double>() == std::vector<double>{1, 0});
  CHECK_NOTHROW(ag::sum(p * p).backward());
  CHECK_THROWS_WITH(ag::tensor({1.0, kNaN}) * 2, ContainsSubstring("mul: results must be finite"));
  CHECK_THROWS_WITH(ag::exp(ag::tensor(1000.0)), ContainsSubstring("with 1 Inf"));
  CHECK_NOTHROW(ag::exp(ag::zeros({0})));
  CHECK_NOTHROW(ag::arange(3) + ag::arange(3));
}

TEST_CASE("anomaly mode finds what a backward makes, and where forward was called") {
  const Tensor x = ag::tensor({0.0, 4.0}).requires_grad_();
  const ag::AnomalyMode guard;
  const int line = __LINE__ + 1;
  const Tensor root = ag::sqrt(x);
  const Tensor y = ag::sum(root * 3);
  const std::string text = message([&] { y.backward(); });
  CHECK_THAT(text, ContainsSubstring("sqrt backward: gradients must be finite in anomaly mode, got "
                                     "(2,) float64 from 0.75 to 0.75 with 1 Inf for input 0, from "
                                     "cotangent 0 (2,) float64 from 3 to 3, input 0 (2,) float64 "
                                     "from 0 to 4; called forward at "));
  CHECK_THAT(text, ContainsSubstring(fmt::format("anomaly_test.cpp:{}", line)));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("anomaly mode watches a backward of a graph recorded without it") {
  const Tensor x = ag::tensor({0.0}).requires_grad_(), y = ag::sqrt(x);
  const ag::AnomalyMode guard;
  CHECK_THROWS_WITH(y.backward(),
                    "sqrt backward: gradients must be finite in anomaly mode, got "
                    "(1,) float64 with 1 Inf for input 0, from cotangent 0 (1,) "
                    "float64 from 1 to 1");
}

TEST_CASE("anomaly mode watches functions of users") {
  const Tensor x = ag::ones({2}).requires_grad_();
  const ag::AnomalyMode guard;
  CHECK_THROWS_WITH(BrokenForward::apply(x),
                    ContainsSubstring("BrokenForward: results must be finite in anomaly mode"));
  CHECK_THROWS_WITH(ag::sum(Broken::apply(x)).backward(),
                    ContainsSubstring("Broken backward: gradients must be finite"));
  const auto reciprocal = ag::elementwise("reciprocal_of", [](auto v) { return 1 / v; });
  CHECK_THROWS_WITH(reciprocal(ag::zeros({2})), ContainsSubstring("reciprocal_of: results must"));
}

TEST_CASE("anomaly mode watches higher orders and ends with its scope") {
  const Tensor x = ag::tensor({1.0, 2.0}).requires_grad_();
  {
    const ag::AnomalyMode guard;
    CHECK(ag::anomaly_mode());
    const Tensor g = ag::grad({ag::sum(ag::pow(x, 3))}, {x}, {.create_graph = true})[0];
    CHECK(ag::grad({ag::sum(g)}, {x})[0].to_vector<double>() == std::vector<double>{6, 12});
    const ag::AnomalyMode off(false);
    CHECK_NOTHROW(ag::log(-x));
  }
  CHECK_FALSE(ag::anomaly_mode());
  CHECK_NOTHROW(ag::log(-x));
}

TEST_CASE("anomaly mode belongs to its thread", "[threads]") {
  const ag::AnomalyMode guard;
  bool elsewhere = true;
  std::thread([&] { elsewhere = ag::anomaly_mode(); }).join();
  CHECK_FALSE(elsewhere);
}

TEST_CASE("A Location names its line in every error of the scope") {
  const Tensor a = ag::ones({2, 3}), b = ag::ones({4, 5});
  const int line = __LINE__ + 1;
  const ag::Location here;
  const std::string place = fmt::format("; at {}:{}", __FILE__, line);
  CHECK_THAT(message([&] { (void)ag::matmul(a, b); }),
             ContainsSubstring("matmul: inner sizes") && ContainsSubstring(place));
  {
    const ag::Location inner("model.cpp", 7);
    CHECK_THAT(message([&] { (void)ag::matmul(a, b); }), ContainsSubstring("; at model.cpp:7"));
    const ag::AnomalyMode guard;
    CHECK_THAT(message([&] { (void)ag::log(-a); }), ContainsSubstring("; called at model.cpp:7"));
  }
  CHECK_THAT(message([&] { (void)ag::matmul(a, b); }), ContainsSubstring(place));
}

TEST_CASE("an error outside a Location names no line") {
  CHECK(ag::Location::innermost().empty());
  const std::string text = message([] { (void)ag::matmul(ag::ones({2, 3}), ag::ones({4, 5})); });
  CHECK(text.find("; at") == text.npos);
}
