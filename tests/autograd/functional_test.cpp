#include "autograd/functional.hpp"

#include "autograd/ops.hpp"
#include "autograd/random.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Shape;
using ag::Tensor;
using Catch::Approx;

namespace {

void check_close(const Tensor& a, const Tensor& b, double margin = 1e-12) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == Approx(y[i]).margin(margin));
}

// (3,) → (2, 2), mixing all elements, with a Jacobian that is easy to write down.
Tensor mixing(const Tensor& x) {
  const Tensor a = ag::select(x, 0, 0), b = ag::select(x, 0, 1), c = ag::select(x, 0, 2);
  return ag::reshape(ag::stack({a * b, ag::exp(c), a * a * a, ag::sin(b) * c}), {2, 2});
}
const Tensor kX = ag::tensor({0.5, -1.0, 2.0});

Tensor mixing_jacobian() {
  const double a = 0.5, b = -1, c = 2;
  return ag::reshape(ag::tensor({b, a, 0.0, 0.0, 0.0, std::exp(c), 3 * a * a, 0.0, 0.0, 0.0,
                                 std::cos(b) * c, std::sin(b)}),
                     {2, 2, 3});
}

Tensor cubic(const Tensor& x) { return ag::sum(x * x * x) + ag::square(ag::sum(x)); }

}  // namespace

TEST_CASE("value_and_grad gives both and leaves its arguments alone") {
  const auto [value, gradient] = ag::value_and_grad(cubic)(kX);
  CHECK(value.item() == Approx(0.125 - 1 + 8 + 2.25));
  check_close(gradient, ag::tensor({0.75 + 3, 3.0 + 3, 12.0 + 3}));
  CHECK_FALSE(value.requires_grad());
  CHECK_FALSE(kX.requires_grad());
  auto product = [](const Tensor& a, const Tensor& b) { return ag::sum(a * b); };
  const auto [v, g] = ag::value_and_grad(product)(ag::tensor({1.0, 2.0}), ag::tensor({3.0, 4.0}));
  CHECK(v.item() == 11);
  check_close(g[0], ag::tensor({3.0, 4.0}));
  check_close(g[1], ag::tensor({1.0, 2.0}));
  const ag::NoGrad off;
  CHECK(ag::value_and_grad(cubic)(kX).first.item() == value.item());
}

TEST_CASE("the Jacobian has the shape of the output followed by that of the input") {
  check_close(ag::jacobian(mixing, kX), mixing_jacobian());
  CHECK(ag::jacobian([](const Tensor& x) { return ag::sum(x); }, kX).shape() == Shape{3});
  CHECK(ag::jacobian([](const Tensor& x) { return x * x; }, ag::tensor(3.0)).item() == 6);
  check_close(ag::jacobian([](const Tensor& x) { return x; }, kX),
              ag::reshape(ag::tensor({1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0}), {3, 3}));
  CHECK(ag::jacobian([](const Tensor& x) { return x; }, ag::zeros({0}, ag::float64)).shape() ==
        Shape{0, 0});
  const Tensor narrow = ag::jacobian([](const Tensor& x) { return x.to(ag::float64) * 2; },
                                     ag::ones({2}, ag::float32));
  CHECK(narrow.dtype() == ag::float32);
  CHECK(narrow.to_vector<float>() == std::vector<float>{2, 0, 0, 2});
}

TEST_CASE("a Jacobian with create_graph is differentiable") {
  const Tensor x = kX.clone().requires_grad_();
  const Tensor j = ag::jacobian(cubic, x, true);
  check_close(ag::grad({ag::sum(j)}, {x})[0], ag::tensor({3.0 + 6, -6.0 + 6, 12.0 + 6}));
  CHECK_FALSE(ag::jacobian(cubic, x).requires_grad());
}

TEST_CASE("the Hessian holds all second derivatives") {
  check_close(ag::hessian(cubic, kX),
              ag::tensor({{5.0, 2.0, 2.0}, {2.0, -4.0, 2.0}, {2.0, 2.0, 14.0}}));
  check_close(ag::hessian([](const Tensor& x) { return ag::sum(3 * x); }, kX),
              ag::zeros({3, 3}, ag::float64));
  CHECK(ag::hessian([](const Tensor& x) { return ag::exp(x); }, ag::tensor(0.0)).item() == 1);
  const Tensor m = ag::ones({2, 2}, ag::float64);
  CHECK(ag::hessian([](const Tensor& x) { return ag::sum(x * x); }, m).shape() ==
        Shape{2, 2, 2, 2});
  const ag::NoGrad off;
  CHECK(ag::hessian([](const Tensor& x) { return ag::square(x); }, ag::tensor(5.0)).item() == 2);
}

TEST_CASE("products with the Hessian and the Jacobian equal the products of the matrices") {
  const Tensor v = ag::tensor({1.0, -2.0, 0.5});
  check_close(ag::hvp(cubic, kX, v), ag::matmul(ag::hessian(cubic, kX), v));
  const Tensor j = ag::reshape(mixing_jacobian(), {4, 3});
  check_close(ag::reshape(ag::jvp(mixing, kX, v), {4}), ag::matmul(j, v));
  const Tensor u = ag::tensor({{1.0, 2.0}, {-3.0, 0.25}});
  check_close(ag::vjp(mixing, kX, u), ag::matmul(ag::reshape(u, {4}), j));
}

TEST_CASE("functions that do not depend on their argument have zero derivatives") {
  const auto constant = [](const Tensor&) { return ag::tensor({1.0, 2.0}); };
  const auto one = [](const Tensor&) { return ag::tensor(1.0); };
  const Tensor v = ag::ones({3}, ag::float64);
  check_close(ag::jacobian(constant, kX), ag::zeros({2, 3}, ag::float64));
  check_close(ag::hessian(one, kX), ag::zeros({3, 3}, ag::float64));
  check_close(ag::hvp(one, kX, v), ag::zeros({3}, ag::float64));
  check_close(ag::jvp(constant, kX, v), ag::zeros({2}, ag::float64));
  check_close(ag::vjp(constant, kX, ag::tensor({1.0, 1.0})), ag::zeros({3}, ag::float64));
}

TEST_CASE("functional derivatives leave no trace in the caller's tensors") {
  const Tensor x = kX.clone().requires_grad_();
  const Tensor weight = ag::tensor({1.0, 2.0, 3.0}).requires_grad_();
  const auto f = [&](const Tensor& in) { return ag::sum(weight * in * in); };
  (void)ag::hessian(f, x);
  (void)ag::jacobian(f, x);
  (void)ag::hvp(f, x, kX);
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(weight.grad().defined());
  CHECK(x.version() == 0);
}

TEST_CASE("functional derivatives refuse wrong arguments") {
  const auto id = [](const Tensor& x) { return x; };
  const Tensor x = ag::ones({2}, ag::float64);
  CHECK_THROWS_WITH(ag::jacobian(id, ag::tensor({1, 2})),
                    "jacobian: x must be float32 or float64, got int64; convert with .to(float64)");
  CHECK_THROWS_WITH(ag::hessian(cubic, Tensor()),
                    "hessian: x must be defined, got an undefined tensor");
  CHECK_THROWS_WITH(ag::hessian(id, x),
                    "hessian: the function must return one element, got shape (2,); sum it or use "
                    "jacobian");
  CHECK_THROWS_WITH(ag::hvp(cubic, x, ag::ones({3}, ag::float64)),
                    "hvp: v must have the shape of x, got (3,) for (2,)");
  CHECK_THROWS_WITH(ag::jvp(id, x, ag::ones({2})),
                    "jvp: v must have the dtype of x, got float32 for float64");
  CHECK_THROWS_WITH(ag::vjp(id, x, Tensor()), "vjp: v must be defined, got an undefined tensor");
  CHECK_THROWS_WITH(ag::vjp(id, x, ag::ones({1}, ag::float64)),
                    "vjp: v must have the shape of f(x), got (1,) for (2,)");
  CHECK_THROWS_WITH(ag::jacobian([](const Tensor&) { return Tensor(); }, x),
                    "jacobian: the function must return a tensor, got an undefined one");
  CHECK_THROWS_WITH(ag::jvp([](const Tensor& t) { return t > 0; }, x, x),
                    "jvp: the function must return float32 or float64, got bool");
  CHECK_THROWS_WITH(ag::jacobian(cubic, x, true),
                    "jacobian: with create_graph x must require a gradient, got one that does not");
}
