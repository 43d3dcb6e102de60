#include "autograd/gradcheck.hpp"

#include <cmath>
#include <limits>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "tests/catch.hpp"

namespace ag = autograd;
using ag::Context;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

Tensor sample(const ag::Shape& shape) {
  ag::Generator g(4);
  return ag::randn(shape, ag::float64, g);
}

// x³ with a gradient that is wrong by two parts in a thousand.
struct OffCube : ag::Function<OffCube> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor& x = ctx.saved()[0];
    return {3.006 * x * x * grad[0]};
  }
};

// x² whose backward is right, but has itself a gradient that is wrong by 0.2 %.
struct OffSlope : ag::Function<OffSlope> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return 2 * x;
  }
  static TensorList backward(Context&, const TensorList& grad) { return {2.004 * grad[0]}; }
};
struct OffSecond : ag::Function<OffSecond> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    return {OffSlope::apply(ctx.saved()[0]) * grad[0]};
  }
};

// sum(x²) with a backward that forgets its cotangent: right where the cotangent is 1.
struct Forgetful : ag::Function<Forgetful> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return ag::sum(x * x);
  }
  static TensorList backward(Context& ctx, const TensorList&) { return {2 * ctx.saved()[0]}; }
};

// x² whose backward cuts the graph.
struct Cut : ag::Function<Cut> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    return {(2 * ctx.saved()[0] * grad[0]).detach()};
  }
};

// A gradient that is NaN.
struct NotANumber : ag::Function<NotANumber> {
  static Tensor forward(Context&, const Tensor& x) { return x * 1.0; }
  static TensorList backward(Context&, const TensorList& grad) {
    return {grad[0] * std::numeric_limits<double>::quiet_NaN()};
  }
};

const auto kCube = [](const Tensor& x) { return x * x * x; };

}  // namespace

TEST_CASE("right gradients pass, for every form of function") {
  const Tensor a = sample({2, 3}), b = sample({3});
  const auto one = ag::gradcheck(kCube, {a});
  CHECK(one);
  CHECK(one.report() == "passed");
  CHECK(one.compared == 36);
  CHECK(one.worst < 1e-7);
  CHECK(ag::gradgradcheck([](const Tensor& x, const Tensor& y) { return ag::exp(x * y); }, {a, b}));
  const auto list = [](const TensorList& x) { return TensorList{x[0] * x[1], ag::sum(x[1])}; };
  const auto two = ag::gradcheck(list, {a, b});
  CHECK(two);
  CHECK(two.compared == 6 * (6 + 3) + 1 * (6 + 3));
  CHECK(ag::gradgradcheck(list, {a, b}));
  CHECK(ag::gradcheck([](const Tensor& x) { return ag::sin(x); }, {ag::tensor(0.3)}).compared == 1);
  CHECK(ag::gradgradcheck([](const Tensor& x) { return x; }, {a}));
}

TEST_CASE("a gradient wrong by 0.2 % is found at first order") {
  const auto check = ag::gradcheck([](const Tensor& x) { return OffCube::apply(x); },
                                   {ag::tensor({{0.5, 0.0}, {3.0, -0.5}})}, {.rtol = 1e-4});
  CHECK_FALSE(check);
  CHECK(check.mismatches.size() == 3);
  CHECK(check.order == 1);
  CHECK_THAT(check.report(),
             ContainsSubstring("gradcheck: output 0 at (1, 0), input 0 at (1, 0): analytic 27.054, "
                               "numeric 27") &&
                 ContainsSubstring("(difference 0.054); 3 of 16 derivatives differ"));
  CHECK_FALSE(ag::gradcheck([](const Tensor& x) { return OffCube::apply(x); }, {ag::tensor(1.0)}));
}

TEST_CASE("a gradient wrong by 0.2 % is found at second order") {
  const auto f = [](const Tensor& x) { return OffSecond::apply(x); };
  const Tensor x = ag::tensor({1.0, -2.0});
  CHECK(ag::gradcheck(f, {x}));
  const auto check = ag::gradgradcheck(f, {x});
  CHECK_FALSE(check);
  CHECK(check.order == 2);
  CHECK(check.mismatches.size() == 2);
  CHECK_THAT(check.report(), ContainsSubstring("gradgradcheck: gradient of input 0 at (") &&
                                 ContainsSubstring(", input 0 at (") &&
                                 ContainsSubstring("2 of 12 derivatives differ"));
}

TEST_CASE("a backward that forgets its cotangent is found") {
  const auto f = [](const Tensor& x) { return Forgetful::apply(x); };
  const auto check = ag::gradcheck(f, {ag::tensor({1.0, 2.0})});
  CHECK_FALSE(check);
  CHECK_THAT(check.report(), ContainsSubstring("output 0, input 0 at (0,): analytic 1, numeric 2"));
}

TEST_CASE("a backward that cuts the graph is found at second order") {
  const auto f = [](const Tensor& x) { return Cut::apply(x); };
  const auto check = ag::gradgradcheck(f, {ag::tensor({1.0, 2.0})});
  CHECK(ag::gradcheck(f, {ag::tensor({1.0, 2.0})}));
  CHECK_FALSE(check);
  CHECK_THAT(check.report(), ContainsSubstring("analytic 0"));
}

TEST_CASE("the worst mismatch of several inputs and outputs is named") {
  const auto f = [](const TensorList& x) {
    return TensorList{x[0] * x[1], ag::sum(x[0]) + 0 * OffCube::apply(x[1])};
  };
  CHECK(ag::gradcheck(f, {sample({3}), sample({3})}));
  const auto g = [](const TensorList& x) {
    return TensorList{x[0] * x[1], ag::sum(x[0]) + OffCube::apply(x[1])};
  };
  const auto check = ag::gradcheck(g, {sample({3}), ag::tensor({0.0, 5.0, 0.25})});
  CHECK_THAT(check.report(), ContainsSubstring("output 1 at (1,), input 1 at (1,)"));
}

TEST_CASE("a NaN on either side is a mismatch") {
  const auto analytic =
      ag::gradcheck([](const Tensor& x) { return NotANumber::apply(x); }, {ag::tensor({1.0, 2.0})});
  CHECK_FALSE(analytic);
  CHECK(analytic.mismatches.size() == 4);
  CHECK(analytic.worst == std::numeric_limits<double>::infinity());
  CHECK_THAT(analytic.report(), ContainsSubstring("analytic nan"));
  CHECK_FALSE(ag::gradcheck([](const Tensor& x) { return ag::log(x); }, {ag::tensor({-1.0})}));
  CHECK_FALSE(ag::gradcheck([](const Tensor& x) { return ag::sqrt(x); }, {ag::tensor({0.0})}));
}

TEST_CASE("outputs that do not depend on an input have the gradient zero") {
  const auto f = [](const Tensor& x, const Tensor& y) {
    return ag::sum(x) + 0 * ag::sum(y.detach());
  };
  CHECK(ag::gradgradcheck(f, {sample({2}), sample({2})}));
  const auto wrong = [](const Tensor& x) { return ag::sum(x.detach()); };
  const auto check = ag::gradcheck(wrong, {sample({2})});
  CHECK(check.mismatches.size() == 2);
}

TEST_CASE("a function that is not deterministic is reported") {
  ag::manual_seed(1);
  const auto check =
      ag::gradcheck([](const Tensor& x) { return x * ag::rand({2}, ag::float64); }, {sample({2})});
  CHECK_FALSE(check);
  CHECK_THAT(check.report(), ContainsSubstring("gradcheck: the function must be deterministic, got "
                                               "different outputs from two runs"));
}

TEST_CASE("checking draws nothing from the default generator and touches no input") {
  ag::manual_seed(8);
  Tensor x = sample({3});
  x.requires_grad_();
  const auto before = x.to_vector<double>();
  CHECK(ag::gradgradcheck(kCube, {x}));
  CHECK(ag::default_generator().state() == ag::Generator::State{8, 0});
  CHECK(x.to_vector<double>() == before);
  CHECK_FALSE(x.grad().defined());
  CHECK(x.version() == 0);
  const ag::NoGrad off;
  CHECK(ag::gradgradcheck(kCube, {x}));
}

TEST_CASE("tensors of whole numbers are passed on and not checked") {
  const Tensor index = ag::tensor({2, 0, 0});
  const auto f = [](const Tensor& x, const Tensor& i) { return ag::index_select(x, 0, i); };
  const auto check = ag::gradgradcheck(f, {sample({3}), index});
  CHECK(check);
  const auto both = [](const TensorList& x) { return TensorList{x[0] > 0, 2 * x[0]}; };
  CHECK(ag::gradcheck(both, {sample({2})}).compared == 4);
}

TEST_CASE("float32 is warned about") {
  const auto check = ag::gradcheck([](const Tensor& x) { return 2 * x; }, {ag::ones({2})},
                                   {.eps = 1e-2, .atol = 1e-2});
  CHECK(check);
  CHECK(check.report() ==
        "passed; warning: input 0 is float32, too coarse for differences; use float64");
  const auto out = ag::gradcheck([](const Tensor& x) { return x.to(ag::float32); },
                                 {ag::ones({2}, ag::float64)}, {.eps = 1e-2, .atol = 1e-2});
  CHECK(out.report() ==
        "passed; warning: output 0 is float32, too coarse for differences; use float64");
}

TEST_CASE("what cannot be checked is a problem with a reason") {
  const auto report = [](const auto& f, const TensorList& in) {
    return ag::gradcheck(f, in).report();
  };
  const Tensor x = sample({2});
  CHECK(report(kCube, {ag::tensor({1, 2})}) ==
        "gradcheck: some input must be float32 or float64, got none");
  CHECK(report([](const Tensor& t) { return t > 0; }, {x}) ==
        "gradcheck: some output must be float32 or float64, got none");
  CHECK(report([](const Tensor&) { return Tensor(); }, {x}) ==
        "gradcheck: every output must be defined, got an undefined output 0");
  CHECK(report([](const TensorList&) { return TensorList(); }, {x}) ==
        "gradcheck: the function must return a tensor, got none");
  CHECK(report(
            [](const Tensor& t) {
              Tensor changed = t.detach();
              changed.mutable_data<double>()[0] = 7;
              return ag::sum(changed);
            },
            {x}) == "gradcheck: the function must not change its inputs, got input 0 changed");
  const double at = x.to_vector<double>()[0];
  CHECK(
      report([at](const Tensor& t) { return t.to_vector<double>()[0] > at ? ag::sum(t) : t * 1.0; },
             {x}) ==
      "gradcheck: the function must always return the same shapes and dtypes, got another output "
      "0");
  CHECK(report(
            [at](const TensorList& t) {
              return t[0].to_vector<double>()[0] > at ? TensorList{t[0], t[0]} : TensorList{t[0]};
            },
            {x}) == "gradcheck: the function must always return as many outputs");
  CHECK(report(kCube, {ag::zeros({0}, ag::float64)}) ==
        "passed; warning: nothing was compared: a tensor is empty");
}

TEST_CASE("a check that is called wrongly throws") {
  CHECK_THROWS_WITH(ag::gradcheck(kCube, {Tensor()}),
                    "gradcheck: every input must be defined, got an undefined input 0");
  CHECK_THROWS_WITH(ag::gradgradcheck(kCube, {sample({1})}, {.eps = 0}),
                    "gradgradcheck: eps must be positive, got 0");
  CHECK_THROWS_WITH(
      ag::gradcheck(kCube, {sample({1}), sample({1})}),
      "gradcheck: the function must take as many tensors as given, got 2 inputs for 1");
}
