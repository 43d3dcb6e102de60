// A user's tests against the installed package: the matchers for Catch2.
#include <autograd/autograd.hpp>
#include <autograd/catch2.hpp>
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_test_macros.hpp>
#endif

namespace ag = autograd;

TEST_CASE("a formula has the right gradient") {
  const auto f = ag::elementwise("bell", [](auto x) {
    using std::exp;
    return exp(-x * x);
  });
  CHECK_THAT(f, ag::PassesGradGradCheck({ag::tensor({-1.0, 0.5, 2.0})}));
}
