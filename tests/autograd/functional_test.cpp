#include "autograd/functional.hpp"

#include "autograd/core/random.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Shape;
using ag::Tensor;

namespace {

void check_close(const Tensor& a, const Tensor& b, double margin = 1e-12) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == Catch::Approx(y[i]).margin(margin));
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
  CHECK(value.item() == Catch::Approx(0.125 - 1 + 8 + 2.25));
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

namespace {

// Its gradient is right and not on the tape.
struct OffTape : ag::Function<OffTape> {
  static Tensor forward(ag::Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return ag::square(x);
  }
  static ag::TensorList backward(ag::Context& ctx, const ag::TensorList& g) {
    return {(2 * ctx.saved()[0] * g[0]).detach()};
  }
};

// (2,) → (4, 5), so that columns are the cheaper mode.
Tensor tall(const Tensor& x) {
  const Tensor t = ag::reshape(ag::arange(20, ag::float64), {4, 5}) / 20;
  return ag::sin(ag::select(x, 0, 0) * t) + ag::exp(ag::select(x, 0, 1)) * t;
}

}  // namespace

TEST_CASE("a tall Jacobian by columns equals the one by rows") {
  const Tensor x = ag::tensor({0.5, -1.0});
  const Tensor j = ag::jacobian(tall, x);
  REQUIRE(j.shape() == Shape{4, 5, 2});
  for (std::int64_t r = 0; r < 20; ++r) {
    const auto row = [&](const Tensor& in) {
      return ag::select(ag::reshape(tall(in), {20}), 0, r);
    };
    check_close(ag::select(ag::reshape(j, {20, 2}), 0, r), ag::jacobian(row, x));
  }
  const Tensor in = x.clone().requires_grad_();
  const Tensor jg = ag::jacobian(tall, in, true);
  check_close(jg.detach(), j);
  const auto total = [](const Tensor& t) {
    return ag::sum(ag::square(ag::jacobian(tall, t, true)));
  };
  CHECK(ag::gradcheck([&](const Tensor& t) { return total(t); }, {x}));
  const auto partly = [](const Tensor& t) {
    return ag::stack({t * 0 + 1.0, ag::sign(t), t, t, t, t, t, t});
  };
  CHECK(ag::jacobian(partly, ag::tensor({3.0})).to_vector<double>() ==
        std::vector<double>{0, 0, 1, 1, 1, 1, 1, 1});
  CHECK(ag::jacobian(tall, ag::ones({2}).to(ag::float64)).shape() == Shape{4, 5, 2});
}

TEST_CASE("a gradient that leaves the tape is refused by jvp and does for a Jacobian by rows") {
  const auto f = [](const Tensor& x) { return OffTape::apply(ag::concat({x, x, x, x, x})); };
  const Tensor x = ag::tensor({2.0});
  CHECK(ag::jacobian(f, x).to_vector<double>() == std::vector<double>{4, 4, 4, 4, 4});
  CHECK_THROWS_WITH(
      ag::jvp(f, x, x),
      "jvp: every gradient must be differentiable, got that of OffTape, which leaves the tape; "
      "write its backward in tensor operations");
  CHECK(ag::jvp([](const Tensor& t) { return ag::sign(t) + 2; }, x, x).item() == 0);
}

TEST_CASE("functional derivatives take several tensors") {
  const auto f = [](const ag::TensorList& in) { return ag::sum(in[0] * in[1] * in[1], 0); };
  const Tensor a = ag::tensor({{1.0, 2.0}, {3.0, 4.0}}), b = ag::tensor({0.5, -1.0});
  const Tensor va = ag::tensor({{1.0, 0.0}, {2.0, -1.0}}), vb = ag::tensor({3.0, 0.25});
  const ag::TensorList j = ag::jacobian(f, {a, b});
  REQUIRE(j.size() == 2);
  REQUIRE(j[0].shape() == Shape{2, 2, 2});
  check_close(j[0], ag::jacobian([&](const Tensor& t) { return f({t, b}); }, a));
  check_close(j[1], ag::jacobian([&](const Tensor& t) { return f({a, t}); }, b));
  check_close(ag::jvp(f, {a, b}, {va, vb}),
              ag::matmul(ag::reshape(j[0], {2, 4}), ag::reshape(va, {4})) + ag::matmul(j[1], vb));
  const Tensor u = ag::tensor({1.0, -2.0});
  const ag::TensorList g = ag::vjp(f, {a, b}, u);
  check_close(g[0], ag::reshape(ag::matmul(u, ag::reshape(j[0], {2, 4})), {2, 2}));
  check_close(g[1], ag::matmul(u, j[1]));

  const auto scalar = [&](const ag::TensorList& in) { return ag::sum(f(in)); };
  const auto h = ag::hessian(scalar, {a, b});
  REQUIRE(h[0][1].shape() == Shape{2, 2, 2});
  check_close(h[0][0], ag::zeros({2, 2, 2, 2}, ag::float64));
  check_close(h[1][1], ag::tensor({{8.0, 0.0}, {0.0, 12.0}}));
  const ag::TensorList hv = ag::hvp(scalar, {a, b}, {va, vb});
  check_close(hv[0], ag::reshape(ag::matmul(ag::reshape(h[0][1], {4, 2}), vb), {2, 2}));
  check_close(hv[1], ag::matmul(ag::reshape(h[1][0], {2, 4}), ag::reshape(va, {4})) +
                         ag::matmul(h[1][1], vb));
  CHECK_THROWS_WITH(ag::jvp(f, {a, b}, {va}), "jvp: needs one v for each x, got 1 for 2");
  CHECK_THROWS_WITH(ag::jacobian(f, ag::TensorList{}),
                    "jacobian: needs at least one tensor, got none");
}
