// A user's tests against the installed package: the matchers for Catch2, and types that cross the
// border of the libraries.
#include <autograd/autograd.hpp>
#include <autograd/catch2.hpp>
#include <nn/nn.hpp>
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

struct Refusing : nn::Module {
  NN_MODULE()
  ag::Tensor forward(const ag::Tensor&) const { ag::fail("refusing", "does so"); }
};

TEST_CASE("errors and layers keep their types across the border of the libraries") {
  CHECK_THROWS_AS(ag::matmul(ag::zeros({2, 3}), ag::zeros({2, 3})), ag::Error);

  nn::Sequential model(nn::Linear(2, 3), Refusing());
  CHECK(dynamic_cast<nn::Linear*>(&model[0]) != nullptr);
  CHECK(dynamic_cast<nn::ReLU*>(&model[0]) == nullptr);
  CHECK(dynamic_cast<Refusing*>(&model[1]) != nullptr);

  // Thrown here, caught in the library, which adds the layer, and thrown on.
  try {
    (void)model(ag::zeros({1, 2}));
    FAIL("no error");
  } catch (const ag::Error& error) {
    CHECK(error.layer().path == "1");
  }
}
