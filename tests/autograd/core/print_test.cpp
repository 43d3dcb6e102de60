#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "autograd/core/tensor.hpp"
#include "autograd/ops/ops.hpp"
#include "tests/catch.hpp"

// Every expected text is what NumPy 2 prints with array2string(..., separator=", ").

namespace ag = autograd;

namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
}  // namespace

TEST_CASE("numbers print with NumPy's choice of digits") {
  CHECK(ag::to_string(ag::tensor({1.0, 2.0})) == "[1., 2.]");
  CHECK(ag::to_string(ag::tensor({0.5, 1.0, -2.25})) == "[ 0.5 ,  1.  , -2.25]");
  CHECK(ag::to_string(ag::tensor({0.1 + 0.2, 1.0 / 3})) == "[0.3       , 0.33333333]");
  CHECK(ag::to_string(ag::tensor({1e-10, 1.0})) == "[1.e-10, 1.e+00]");
  CHECK(ag::to_string(ag::tensor({1e100, 1.0, kNaN})) == "[1.e+100, 1.e+000,     nan]");
  CHECK(ag::to_string(ag::tensor({1e-5, 2.5, 3.0})) == "[1.0e-05, 2.5e+00, 3.0e+00]");
  CHECK(ag::to_string(ag::tensor({0.1 + 0.2, 1e9})) == "[3.e-01, 1.e+09]");
  CHECK(ag::to_string(ag::tensor({1.0 / 3, 1e9})) == "[3.33333333e-01, 1.00000000e+09]");
  CHECK(ag::to_string(ag::tensor({kNaN, 1.0, -kInf})) == "[ nan,   1., -inf]");
  CHECK(ag::to_string(ag::tensor({kNaN, -kNaN})) == "[nan, nan]");
  CHECK(ag::to_string(ag::tensor({1.5, -2.25, kInf})) == "[ 1.5 , -2.25,   inf]");
  CHECK(ag::to_string(ag::tensor({-1.23456789e-7, kInf})) == "[-1.23456789e-07,             inf]");
  CHECK(ag::to_string(ag::tensor({1e-300, 5e-324})) == "[1.e-300, 5.e-324]");
  CHECK(ag::to_string(ag::tensor({0.0, -0.0})) == "[ 0., -0.]");
  CHECK(ag::to_string(ag::tensor({1e5, 0.001})) == "[1.e+05, 1.e-03]");
  CHECK(ag::to_string(ag::tensor({99999999.0, 123456.5})) == "[99999999. ,   123456.5]");
  CHECK(ag::to_string(ag::tensor({100000000.0, 200000000.0})) == "[1.e+08, 2.e+08]");
  CHECK(ag::to_string(ag::tensor({0.00012345678912, 0.05})) == "[0.00012346, 0.05      ]");
  CHECK(ag::to_string(ag::tensor({0.123456785, 0.5})) == "[0.12345678, 0.5       ]");
  CHECK(ag::to_string(ag::tensor({0.1f, 16777216.0f})) == "[1.0000000e-01, 1.6777216e+07]");
  CHECK(ag::to_string(ag::tensor({-1331157.1f, -966140.9f})) == "[-1.3311571e+06, -9.6614088e+05]");
  CHECK(ag::to_string(ag::tensor({0.1f, 3.3f})) == "[0.1, 3.3]");
  CHECK(ag::to_string(ag::tensor({999999.0f, 1000.5f})) == "[999999. ,   1000.5]");
}

TEST_CASE("a 0-d tensor prints as the bare number") {
  CHECK(ag::to_string(ag::tensor(0.1f)) == "0.1");
  CHECK(ag::to_string(ag::tensor(1.0)) == "1.");
  CHECK(ag::to_string(ag::tensor(1e16)) == "1.e+16");
  CHECK(ag::to_string(ag::tensor(-7)) == "-7");
  CHECK(ag::to_string(ag::tensor(true)) == "True");
  CHECK(ag::to_string(ag::tensor(kNaN)) == "nan");
}

TEST_CASE("tensors print as nested rows that wrap at the width of a line") {
  CHECK(ag::to_string(ag::tensor({true, false})) == "[ True, False]");
  CHECK(ag::to_string(ag::tensor({true})) == "[ True]");
  CHECK(ag::to_string(ag::tensor({1, -20, 300})) == "[  1, -20, 300]");
  CHECK(ag::to_string(ag::tensor({{1.5, 2.0}, {3.0, -4.0}})) ==
        "[[ 1.5,  2. ],\n"
        " [ 3. , -4. ]]");
  CHECK(ag::to_string(ag::arange(8).to(ag::float32)) == "[0., 1., 2., 3., 4., 5., 6., 7.]");
  CHECK(ag::to_string(ag::reshape(ag::arange(12), {2, 3, 2})) ==
        "[[[ 0,  1],\n"
        "  [ 2,  3],\n"
        "  [ 4,  5]],\n"
        "\n"
        " [[ 6,  7],\n"
        "  [ 8,  9],\n"
        "  [10, 11]]]");
  CHECK(ag::to_string(ag::reshape(ag::arange(8), {2, 1, 2, 2})) ==
        "[[[[0, 1],\n"
        "   [2, 3]]],\n"
        "\n"
        "\n"
        " [[[4, 5],\n"
        "   [6, 7]]]]");
  CHECK(ag::to_string(ag::arange(40)) ==
        "[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        " 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,\n"
        " 36, 37, 38, 39]");
  CHECK(ag::to_string(ag::reshape(ag::arange(60), {2, 30})) ==
        "[[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        "  18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29],\n"
        " [30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,\n"
        "  48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59]]");
  CHECK(ag::to_string(ag::zeros({0})) == "[]");
  CHECK(ag::to_string(ag::zeros({2, 0, 3})) == "[]");
}

TEST_CASE("more than 1000 elements are summarised") {
  CHECK(ag::to_string(ag::arange(1001)) == "[   0,    1,    2, ...,  998,  999, 1000]");
  CHECK(ag::to_string(ag::reshape(ag::arange(1100), {11, 100})) ==
        "[[   0,    1,    2, ...,   97,   98,   99],\n"
        " [ 100,  101,  102, ...,  197,  198,  199],\n"
        " [ 200,  201,  202, ...,  297,  298,  299],\n"
        " ...,\n"
        " [ 800,  801,  802, ...,  897,  898,  899],\n"
        " [ 900,  901,  902, ...,  997,  998,  999],\n"
        " [1000, 1001, 1002, ..., 1097, 1098, 1099]]");
  CHECK(ag::to_string(ag::reshape(ag::arange(2000).to(ag::float64), {500, 2, 2})) ==
        "[[[0.000e+00, 1.000e+00],\n"
        "  [2.000e+00, 3.000e+00]],\n"
        "\n"
        " [[4.000e+00, 5.000e+00],\n"
        "  [6.000e+00, 7.000e+00]],\n"
        "\n"
        " [[8.000e+00, 9.000e+00],\n"
        "  [1.000e+01, 1.100e+01]],\n"
        "\n"
        " ...,\n"
        "\n"
        " [[1.988e+03, 1.989e+03],\n"
        "  [1.990e+03, 1.991e+03]],\n"
        "\n"
        " [[1.992e+03, 1.993e+03],\n"
        "  [1.994e+03, 1.995e+03]],\n"
        "\n"
        " [[1.996e+03, 1.997e+03],\n"
        "  [1.998e+03, 1.999e+03]]]");
  CHECK(ag::to_string(ag::reshape(ag::arange(1200), {600, 2})) ==
        "[[   0,    1],\n"
        " [   2,    3],\n"
        " [   4,    5],\n"
        " ...,\n"
        " [1194, 1195],\n"
        " [1196, 1197],\n"
        " [1198, 1199]]");
  CHECK(ag::to_string(ag::arange(1000)).find("...") == std::string::npos);
}

TEST_CASE("a format applies to every element and columns stay aligned") {
  CHECK(fmt::format("{:.6f}", ag::tensor({1.0, 1.0})) == "[1.000000, 1.000000]");
  CHECK(fmt::format("{:.1f}", ag::tensor({-1.0, 10.25})) == "[-1.0, 10.2]");
  CHECK(fmt::format("{:.2e}", ag::tensor(12345.0f)) == "1.23e+04");
  CHECK(fmt::format("{:d}", ag::tensor({5, 10})) == "[ 5, 10]");
  CHECK(fmt::format("{:.1f}", ag::tensor({-kNaN, 0.5})) == "[nan, 0.5]");
  CHECK(fmt::format("{}", ag::tensor({0.5})) == "[0.5]");
  CHECK_THROWS_WITH(
      ag::to_string(ag::tensor({1}), ".3f"),
      Catch::Matchers::StartsWith("to_string: the format must suit int64 elements, got \".3f\" ("));
}

TEST_CASE("tensors print to streams, undefined ones too") {
  std::ostringstream out;
  out << ag::tensor({1, 2}) << ' ' << ag::Tensor();
  CHECK(out.str() == "[1, 2] undefined");
}

TEST_CASE("a tensor of 64 axes prints; more axes are refused") {
  std::vector<std::int64_t> sizes(64, 1);
  const ag::Tensor t = ag::reshape(ag::tensor(2.0), ag::Shape(sizes.begin(), sizes.end()));
  CHECK(ag::to_string(t) == std::string(64, '[') + "2." + std::string(64, ']'));
  sizes.resize(65, 1);
  const std::string text = "a tensor must have at most 64 axes, got ";
  CHECK_THROWS_WITH(ag::reshape(t, ag::Shape(sizes.begin(), sizes.end())),
                    "reshape: " + text + "65");
  CHECK_THROWS_WITH(ag::unsqueeze(t, 0), Catch::Matchers::ContainsSubstring(text + "65"));
  CHECK_THROWS_WITH(ag::expand(t, ag::Shape(sizes.begin(), sizes.end())),
                    Catch::Matchers::ContainsSubstring(text + "65"));
  sizes.resize(30'000, 1);
  CHECK_THROWS_WITH(ag::zeros(ag::Shape(sizes.begin(), sizes.end())), "zeros: " + text + "30000");
}

TEST_CASE("a dtype prints its name") {
  CHECK(fmt::format("{} {}", ag::float32, ag::boolean) == "float32 bool");
}
