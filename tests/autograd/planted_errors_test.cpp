#include <regex>

#include "autograd/core/random.hpp"
#include "autograd/elementwise/elementwise.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "tests/catch.hpp"
#include "tests/points.hpp"

/// Gradients that are wrong in ways in which gradients go wrong, and whether the checker sees it.
namespace ag = autograd;
using ag::Context;
using ag::Tensor;
using ag::TensorList;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr ag::GradcheckOptions kTight{.atol = 1e-7, .rtol = 1e-6};

Tensor sample(const ag::Shape& shape, std::uint64_t seed = 4) {
  ag::Generator g(seed);
  return ag::randn(shape, ag::float64, g);
}

// 1, and 1.001 at one position.
Tensor dent(const Tensor& like, std::int64_t at) {
  Tensor t = ag::ones_like(like);
  t.mutable_data<double>()[at] = 1.001;
  return t;
}

// The report names the input with the index, and both numbers.
const char* const kFirst =
    R"(^gradcheck: output \d+( at \(.*\))?, input \d+( at \(.*\))?: analytic \S+, numeric \S+ )"
    R"(\(difference \S+\); \d+ of \d+ derivatives differ$)";
const char* const kSecond =
    R"(^gradgradcheck: gradient of input \d+( at \(.*\))?, (input|cotangent) \d+( at \(.*\))?: )"
    R"(analytic \S+, numeric \S+ \(difference \S+\); \d+ of \d+ derivatives differ$)";

void found_at_first_order(const ag::GradcheckResult& check, std::size_t mismatches,
                          const std::string& place) {
  INFO(check.report());
  CHECK_FALSE(check);
  CHECK(check.order == 1);
  CHECK(check.mismatches.size() == mismatches);
  CHECK(std::regex_match(check.report(), std::regex(kFirst)));
  CHECK_THAT(check.report(), ContainsSubstring(place));
}

void found_at_second_order(const ag::GradcheckResult& check, std::size_t mismatches,
                           const std::string& place) {
  INFO(check.report());
  CHECK_FALSE(check);
  CHECK(check.order == 2);
  CHECK(check.mismatches.size() == mismatches);
  CHECK(std::regex_match(check.report(), std::regex(kSecond)));
  CHECK_THAT(check.report(), ContainsSubstring(place));
}

// x³, wrong by 0.1 % in element 4 of 6.
struct DentedCube : ag::Function<DentedCube> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor& x = ctx.saved()[0];
    return {3 * x * x * grad[0] * dent(x, 4)};
  }
};

// 2x with a gradient that is wrong in element 4, and x² that has it in its own gradient.
struct DentedSlope : ag::Function<DentedSlope> {
  static Tensor forward(Context&, const Tensor& x) { return 2 * x; }
  static TensorList backward(Context&, const TensorList& grad) {
    return {2 * grad[0] * dent(grad[0], 4)};
  }
};
struct DentedSecond : ag::Function<DentedSecond> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    return {DentedSlope::apply(ctx.saved()[0]) * grad[0]};
  }
};

// x² whose gradient forgets that it depends on the cotangent, or on x.
template <bool kCotangent>
struct Detached : ag::Function<Detached<kCotangent>> {
  static Tensor forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return x * x;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor& x = ctx.saved()[0];
    return {2 * (kCotangent ? x : x.detach()) * (kCotangent ? grad[0].detach() : grad[0])};
  }
};

// a · b with one of the mistakes of binary operations.
enum class Slip { none, no_unbroadcast, mean, swapped, lost, few, dtype };
template <Slip kSlip>
struct Mul : ag::Function<Mul<kSlip>> {
  static Tensor forward(Context& ctx, const Tensor& a, const Tensor& b) {
    ctx.save_for_backward({a, b});
    return a * b;
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor &a = ctx.saved()[0], &b = ctx.saved()[1], &g = grad[0];
    const Tensor ga = ag::sum_to(g * b, a.shape()), gb = ag::sum_to(g * a, b.shape());
    switch (kSlip) {
      case Slip::none:
        return {ga, gb};
      case Slip::no_unbroadcast:
        return {ga, g * a};
      case Slip::mean:
        return {ga, ag::mean(g * a, 0)};
      case Slip::swapped:
        return {ag::sum_to(g * a, a.shape()), ag::sum_to(g * b, b.shape())};
      case Slip::lost:
        return {ga, Tensor()};
      case Slip::few:
        return {ga};
      case Slip::dtype:
        return {ga, gb.to(ag::float32)};
    }
    return {};
  }
};
template <Slip kSlip>
Tensor mul(const Tensor& a, const Tensor& b) {
  return Mul<kSlip>::apply(a, b);
}

// x² that keeps x where nobody watches it, and doubles it in place after the forward.
struct Unwatched : Context {
  Tensor kept;
};
struct Stale : ag::Function<Stale, Unwatched> {
  static Tensor forward(Unwatched& ctx, const Tensor& x) {
    ctx.kept = x.detach().clone();
    const Tensor y = x * x;
    auto* p = ctx.kept.mutable_data<double>();
    for (std::int64_t i = 0; i < x.numel(); ++i) p[i] *= 2;
    return y;
  }
  static TensorList backward(Unwatched& ctx, const TensorList& grad) {
    return {2 * ctx.kept * grad[0]};
  }
};

// Two outputs, of which the second has a gradient of the wrong sign.
struct SinCos : ag::Function<SinCos> {
  static TensorList forward(Context& ctx, const Tensor& x) {
    ctx.save_for_backward({x});
    return {ag::sin(x), ag::cos(x)};
  }
  static TensorList backward(Context& ctx, const TensorList& grad) {
    const Tensor& x = ctx.saved()[0];
    return {grad[0] * ag::cos(x) + grad[1] * ag::sin(x)};
  }
};

// factor · x as an operation like those of the library, whose gradient has another factor; with a
// second factor of its own at second order.
struct Scale {
  double forward_factor, backward_factor, second_factor;
  std::string_view name() const { return "scale"; }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), ag::float64}; }
  void forward(const ag::Inputs& in, Tensor& out) const {
    const double* from = in[0].data<double>();
    double* to = out.mutable_data<double>();
    for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = forward_factor * from[i];
  }
  TensorList backward(const ag::Call& call) const {
    return {ag::apply(Scale{backward_factor, second_factor, second_factor}, call.grad())};
  }
};

// x³ with its gradient by a formula, which is another function.
struct ByFormula {
  double slip;
  std::string_view name() const { return "by_formula"; }
  unsigned saves() const { return ag::save_input(0); }
  ag::TensorSpec infer(const ag::Inputs& in) const { return {in[0].shape(), ag::float64}; }
  void forward(const ag::Inputs& in, Tensor& out) const {
    const double* x = in[0].data<double>();
    double* to = out.mutable_data<double>();
    for (std::int64_t i = 0; i < out.numel(); ++i) to[i] = x[i] * x[i] * x[i];
  }
  TensorList backward(const ag::Call& call) const {
    return ag::reference_gradient(
        call, [s = slip](const TensorList& x) { return s * x[0] * x[0] * x[0]; });
  }
};

}  // namespace

TEST_CASE("a gradient wrong by 0.1 % in one element only is found") {
  const Tensor x = sample({2, 3});
  const auto cube = [](const Tensor& t) { return DentedCube::apply(t); };
  found_at_first_order(ag::gradcheck(cube, {x}, kTight), 1,
                       "output 0 at (1, 1), input 0 at (1, 1)");
  const auto second = [](const Tensor& t) { return DentedSecond::apply(t); };
  CHECK(ag::gradcheck(second, {x}, kTight));
  found_at_second_order(ag::gradgradcheck(second, {x}, kTight), 1,
                        "gradient of input 0 at (1, 1), input 0 at (1, 1)");
}

TEST_CASE("a gradient that is right at first order and detached at second is found") {
  const Tensor x = sample({3});
  const auto from_cotangent = [](const Tensor& t) { return Detached<true>::apply(t); };
  const auto from_input = [](const Tensor& t) { return Detached<false>::apply(t); };
  CHECK(ag::gradcheck(from_cotangent, {x}, kTight));
  CHECK(ag::gradcheck(from_input, {x}, kTight));
  found_at_second_order(ag::gradgradcheck(from_cotangent, {x}, kTight), 3, ", cotangent 0 at (");
  found_at_second_order(ag::gradgradcheck(from_input, {x}, kTight), 3, ", input 0 at (");
}

TEST_CASE("the mistakes of binary operations are found") {
  const Tensor a = sample({2, 3}), b = sample({3}, 5), c = sample({2, 3}, 6);
  CHECK(ag::gradgradcheck(mul<Slip::none>, {a, b}, kTight));
  // A gradient of the wrong shape, dtype or number does not get as far as a comparison.
  CHECK_THROWS_WITH(ag::gradcheck(mul<Slip::no_unbroadcast>, {a, b}),
                    ContainsSubstring("backward, input 1: the gradient must have the shape of its "
                                      "tensor, got (2, 3) for (3,)"));
  CHECK_THROWS_WITH(ag::gradcheck(mul<Slip::dtype>, {a, b}), ContainsSubstring("input 1"));
  CHECK_THROWS_WITH(ag::gradcheck(mul<Slip::few>, {a, b}), ContainsSubstring("got 1"));
  found_at_first_order(ag::gradcheck(mul<Slip::mean>, {a, b}, kTight), 6, "input 1 at (");
  found_at_first_order(ag::gradcheck(mul<Slip::swapped>, {a, c}, kTight), 12, "analytic");
  found_at_first_order(ag::gradcheck(mul<Slip::lost>, {a, b}, kTight), 6, "analytic 0, numeric");
}

TEST_CASE("a saved value that was changed is found") {
  const auto stale = [](const Tensor& x) { return Stale::apply(x); };
  found_at_first_order(ag::gradcheck(stale, {sample({3})}, kTight), 3, "input 0 at (");
  // The tape watches what was saved with it.
  const auto written = [](const Tensor& x) {
    Tensor y = ag::exp(x);
    const Tensor z = y * y;
    y.mutable_data<double>()[0] = 7;
    return z;
  };
  CHECK_THROWS_WITH(ag::gradcheck(written, {sample({3})}),
                    ContainsSubstring("values saved by 'mul' must not change before the walk"));
}

TEST_CASE("a wrong gradient of one of several outputs is found") {
  const auto f = [](const TensorList& x) { return SinCos::apply(x[0]); };
  found_at_first_order(ag::gradcheck(f, {sample({2, 2})}, kTight), 4, "output 1 at (");
}

TEST_CASE("a hook that changes a gradient is found") {
  const auto f = [](const Tensor& x) {
    Tensor y = 1.0 * x;
    y.register_hook([](const Tensor& g) { return 1.001 * g; });
    return y * y;
  };
  found_at_first_order(ag::gradcheck(f, {sample({3})}, kTight), 3, "input 0 at (");
}

TEST_CASE("an operation of the user's with a wrong gradient is found") {
  const Tensor x = sample({3});
  const auto scale = [](double f, double b, double s) {
    return [=](const Tensor& t) { return ag::apply(Scale{f, b, s}, ag::sin(t)); };
  };
  CHECK(ag::gradgradcheck(scale(2, 2, 2), {x}, kTight));
  found_at_first_order(ag::gradcheck(scale(2, 2.002, 2), {x}, kTight), 3, "input 0 at (");
  CHECK(ag::gradcheck(scale(2, 2, 2.002), {x}, kTight));
  found_at_second_order(ag::gradgradcheck(scale(2, 2, 2.002), {x}, kTight), 3,
                        ", cotangent 0 at (");
  const auto formula = [](double slip) {
    return [=](const Tensor& t) { return ag::apply(ByFormula{slip}, t); };
  };
  CHECK(ag::gradgradcheck(formula(1), {x}, kTight));
  found_at_first_order(ag::gradcheck(formula(1.001), {x}, kTight), 3, "input 0 at (");
}

TEST_CASE("a formula for one element has no gradient to get wrong") {
  // Products, quotients, a composition, a choice, and two uses of one argument.
  const auto f = ag::elementwise("f", [](auto x, auto y) {
    using std::exp, std::log, std::tanh;
    return where(x > y, x * tanh(y) / (1 + x * x), exp(-x) * log(1 + y * y) + x * x * x);
  });
  const auto call = [&](const Tensor& x, const Tensor& y) { return f(x, y); };
  const auto check = ag::gradgradcheck(call, {sample({2, 4}), sample({4}, 5)}, kTight);
  CHECK(check.report() == "passed");
}

TEST_CASE("a wrong second derivative at a branch is found by a point, and only there") {
  const auto sinc = [](const Tensor& x) {
    const Tensor zero = x == 0.0, at = M_PI * ag::where(zero, 1, x);
    return ag::where(zero, 1, ag::sin(at) / at);
  };
  CHECK(ag::gradgradcheck(sinc, {ag::tensor({0.3, -1.2})}).report() == "passed");
  const double curvature = -M_PI * M_PI / 3;
  CHECK_THAT(table::mismatch({"sinc at 0", {0}, sinc, 1, {0}, {curvature}}, ag::float64),
             ContainsSubstring("second derivative of sinc at 0 in float64: got [0], right [-3.28"));

  const auto huber = [](const Tensor& x) {
    const Tensor d = ag::abs(x), inner = ag::minimum(d, 1);
    return 0.5 * ag::square(inner) + (d - inner);
  };
  CHECK(ag::gradgradcheck(huber, {ag::tensor({0.3, -1.2})}).report() == "passed");
  CHECK_THAT(table::mismatch({"huber at 0", {0}, huber, 0, {0}, {1}}, ag::float64),
             ContainsSubstring("second derivative of huber at 0 in float64: got [0], right [1]"));
  const table::Point wrong{"a square", {2}, [](const Tensor& x) { return x * x; }, 5, {3}, {2}};
  CHECK_THAT(table::mismatch(wrong, ag::float64),
             ContainsSubstring("value of a square in float64: got [4], right [5]\nfirst"));
}
