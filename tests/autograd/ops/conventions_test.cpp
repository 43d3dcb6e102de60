#include <cmath>
#include <limits>

#include "autograd/autograd.hpp"
#include "tests/catch.hpp"
#include "tests/same_bits.hpp"

// What docs/numerics.md promises at ties, kinks and boundaries.
namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> values(const Tensor& t) { return t.to(ag::float64).to_vector<double>(); }

template <class F>
std::vector<double> slope(F f, std::initializer_list<double> at) {
  const Tensor x = ag::tensor(at).requires_grad_();
  return values(ag::grad({ag::sum(f(x))}, {x})[0]);
}

using V = std::vector<double>;

}  // namespace

TEST_CASE("kinks have the documented gradient") {
  CHECK(slope([](auto& x) { return ag::abs(x); }, {-1, 0, 2}) == V{-1, 0, 1});
  CHECK(slope([](auto& x) { return ag::relu(x); }, {-1, 0, 2}) == V{0, 0, 1});
  CHECK(slope([](auto& x) { return ag::sign(x); }, {-1, 0, 2}) == V{0, 0, 0});
  CHECK(slope([](auto& x) { return ag::clamp(x, -1, 1); }, {-2, -1, 0, 1, 2}) == V{0, 1, 1, 1, 0});
  CHECK(slope([](auto& x) { return ag::sqrt(x); }, {0, 4}) == V{kInf, 0.25});
}

TEST_CASE("the activations have PyTorch's gradient at their kinks") {
  using T = const Tensor&;
  CHECK(slope([](T x) { return ag::leaky_relu(x, 0.2); }, {-1, 0, 1}) == V{0.2, 0.2, 1});
  CHECK(slope([](T x) { return ag::prelu(x, ag::tensor(0.2)); }, {-1, 0, 1}) == V{0.2, 0.2, 1});
  CHECK(slope([](T x) { return ag::elu(x, 1.5); }, {0, 1}) == V{1.5, 1});
  CHECK(slope([](T x) { return ag::celu(x, 1.5); }, {0, 1}) == V{1, 1});
  CHECK(slope([](T x) { return ag::relu6(x); }, {-1, 0, 3, 6, 7}) == V{0, 0, 1, 0, 0});
  CHECK(slope([](T x) { return ag::hardtanh(x); }, {-2, -1, 0, 1, 2}) == V{0, 0, 1, 0, 0});
  CHECK(slope([](T x) { return ag::hardsigmoid(x); }, {-3, 0, 3}) == V{0, 1.0 / 6, 0});
  CHECK(slope([](T x) { return ag::hardswish(x); }, {-4, -3, 0, 3, 4}) == V{0, 0, 0.5, 1, 1});
  CHECK(slope([](T x) { return ag::softshrink(x); }, {-1, -0.5, 0, 0.5, 1}) == V{1, 0, 0, 0, 1});
  CHECK(slope([](T x) { return ag::hardshrink(x); }, {-1, -0.5, 0, 0.5, 1}) == V{1, 0, 0, 0, 1});
  CHECK(slope([](T x) { return ag::threshold(x, 1, 5); }, {0, 1, 2}) == V{0, 0, 1});
  CHECK(slope([](T x) { return ag::softsign(x); }, {0, 1}) == V{1, 0.25});
  CHECK(slope([](T x) { return ag::nan_to_num(x); }, {kNan, kInf, -kInf, 1}) == V{0, 0, 0, 1});
  CHECK(slope([](T x) { return ag::floor(x); }, {-1, 0.5}) == V{0, 0});
  const Tensor low = ag::tensor(-1.0).requires_grad_(), high = ag::tensor(1.0).requires_grad_();
  const auto bounds =
      ag::grad({ag::sum(ag::hardtanh(ag::tensor({-2.0, -1.0, 0.0, 1.0}), low, high))}, {low, high});
  CHECK(bounds[0].item() == 2);
  CHECK(bounds[1].item() == 1);
}

TEST_CASE("activations and their derivatives stay finite far from 0") {
  const std::vector<Tensor (*)(const Tensor&)> functions{
      ag::sigmoid,
      ag::softplus,
      ag::logsigmoid,
      ag::silu,
      ag::mish,
      ag::gelu,
      ag::gelu_tanh,
      ag::hardsigmoid,
      ag::hardswish,
      ag::selu,
      ag::tanh,
      ag::softsign,
      ag::tanhshrink,
      ag::relu6,
      ag::erf,
      ag::erfc,
      ag::atan,
      ag::asinh,
      [](const Tensor& x) { return ag::elu(x); },
      [](const Tensor& x) { return ag::celu(x); },
      [](const Tensor& x) { return ag::logaddexp(x, 0 * x); },
      [](const Tensor& x) { return ag::hypot(x, 1); }};
  for (const auto& dtype : {ag::float32, ag::float64})
    for (const double far : {100.0, 1000.0, 1e18, 1e30})
      for (std::size_t i = 0; i < functions.size(); ++i) {
        const Tensor x = ag::tensor({-far, far}).to(dtype).detach().requires_grad_();
        const Tensor y = functions[i](x);
        const Tensor fused = ag::grad({ag::sum(y)}, {x}, {.retain_graph = true})[0];
        const Tensor first = ag::grad({ag::sum(y)}, {x}, {.create_graph = true})[0];
        INFO("function " << i << " at " << far << " in " << name(dtype));
        for (const Tensor& t : {y, fused, first}) CHECK(ag::sum(ag::isfinite(t)).item() == 2);
        if (!first.requires_grad() || far > 1e18) continue;
        const Tensor second = ag::grad({ag::sum(first)}, {x}, {.allow_unused = true})[0];
        if (second.defined()) CHECK(ag::sum(ag::isfinite(second)).item() == 2);
      }
}

TEST_CASE("operations on two numbers at their special places") {
  const auto slopes = [](Tensor (*f)(const Tensor&, const Tensor&), double a, double b) {
    const Tensor x = ag::tensor(a).requires_grad_(), y = ag::tensor(b).requires_grad_();
    const auto g = ag::grad({f(x, y)}, {x, y});
    return V{g[0].item(), g[1].item()};
  };
  CHECK(ag::xlogy(0, ag::tensor(0.0)).item() == 0);
  CHECK(ag::xlogy(0, ag::tensor(-1.0)).item() == 0);
  CHECK(std::isnan(ag::xlogy(0, ag::tensor(kNan)).item()));
  CHECK(slopes(ag::xlogy, 0, 0) == V{0, 0});
  CHECK(slopes(ag::xlogy, 0, 1) == V{0, 0});
  CHECK(slopes(ag::hypot, 0, 0) == V{0, 0});
  CHECK(ag::hypot(ag::tensor(3e300), 4e300).item() == Catch::Approx(5e300));
  CHECK(ag::hypot(ag::tensor(3e-320), 0).item() == 3e-320);
  CHECK(ag::hypot(ag::tensor(-kInf), kNan).item() == kInf);
  CHECK(slopes(ag::hypot, 3e300, 4e300)[0] == Catch::Approx(0.6));
  CHECK(slopes(ag::atan2, 1e200, 1e200)[0] == Catch::Approx(0.5e-200));
  CHECK(values(ag::atan2(ag::tensor({0.0, -0.0}), ag::tensor({-1.0, -1.0}))) == V{M_PI, -M_PI});
  const auto logaddexp = [](double a, double b) {
    return ag::logaddexp(ag::tensor(a), ag::tensor(b)).item();
  };
  CHECK(logaddexp(1000, 1000) == Catch::Approx(1000 + std::log(2)));
  CHECK(logaddexp(-kInf, -kInf) == -kInf);
  CHECK(logaddexp(kInf, kInf) == kInf);
  CHECK(logaddexp(-kInf, 3) == 3);
  CHECK(slopes(ag::logaddexp, -kInf, -kInf) == V{0.5, 0.5});
  CHECK(values(ag::fmod(ag::tensor({-7.0, 7.0}), ag::tensor({3.0, -3.0}))) == V{-1, 1});
  CHECK(values(ag::remainder(ag::tensor({-7.0, 7.0, -6.0}), ag::tensor({3.0, -3.0, 3.0}))) ==
        V{2, -2, 0});
  CHECK(std::isnan(ag::fmod(ag::tensor(1.0), 0).item()));
  CHECK(slopes(ag::fmod, -7, 3) == V{1, 2});
  CHECK(slopes(ag::remainder, -7, 3) == V{1, 3});
  CHECK(ag::lerp(ag::tensor(0.1), ag::tensor(0.7), 1).item() == 0.7);
  CHECK(values(ag::round(ag::tensor({0.5, 1.5, 2.5, -0.5}))) == V{0, 2, 2, 0});
  CHECK(values(ag::floor(ag::tensor({-3, 4}))) == V{-3, 4});
}

TEST_CASE("gamma functions at their poles") {
  CHECK(values(ag::lgamma(ag::tensor({0.0, -1.0, 1.0, 2.0}))) == V{kInf, kInf, 0, 0});
  CHECK(values(ag::digamma(ag::tensor({0.0, -0.0, kInf}))) == V{-kInf, kInf, kInf});
  CHECK(std::isnan(ag::digamma(ag::tensor(-2.0)).item()));
  CHECK(values(ag::polygamma(1, ag::tensor({0.0, -1.0, kInf}))) == V{kInf, kInf, 0});
  CHECK(values(ag::polygamma(2, ag::tensor({0.0, -1.0}))) == V{-kInf, -kInf});
  // The fifth derivative of lgamma at 1 is polygamma(4, 1) = -24 ζ(5).
  Tensor x = ag::tensor(1.0).requires_grad_(), y = ag::lgamma(x);
  for (int i = 0; i < 5; ++i) y = ag::grad({y}, {x}, {.create_graph = true})[0];
  CHECK(y.item() == Catch::Approx(-24 * 1.0369277551433699));
}

TEST_CASE("logic takes any dtype, its operators bool only") {
  const Tensor t = ag::tensor({1.0, 0.0, kNan, 0.0}), u = ag::tensor({2, 3, 0, 0});
  CHECK(values(ag::logical_and(t, u)) == V{1, 0, 0, 0});
  CHECK(values(ag::logical_or(t, u)) == V{1, 1, 1, 0});
  CHECK(values(ag::logical_xor(t, u)) == V{0, 1, 1, 0});
  CHECK(values(ag::logical_not(t)) == V{0, 1, 0, 1});
  CHECK(values((u > 0) & (u < 3)) == V{1, 0, 0, 0});
  CHECK(values((u > 2) | (u == 0)) == V{0, 1, 1, 1});
  CHECK(values((u > 2) ^ (u > 0)) == V{1, 0, 0, 0});
  CHECK(values(~(u > 2)) == V{1, 0, 1, 1});
  CHECK_THROWS_WITH(u & u, ContainsSubstring("and: needs bool, got int64"));
  CHECK_THROWS_WITH(~t, ContainsSubstring("needs bool, got float64"));
  CHECK_THROWS_WITH((u > 0) | ag::ones({3}, ag::boolean), ContainsSubstring("or: shapes must"));
  CHECK(values(ag::isnan(ag::arange(2))) == V{0, 0});
  CHECK(values(ag::isinf(ag::arange(2) > 0)) == V{0, 0});
  CHECK(values(ag::isfinite(ag::arange(2))) == V{1, 1});
}

TEST_CASE("ties share the gradient") {
  const Tensor a = ag::tensor({1.0, 2.0, 3.0}).requires_grad_();
  const Tensor b = ag::tensor({1.0, 3.0, 2.0}).requires_grad_();
  const auto most = ag::grad({ag::sum(ag::maximum(a, b))}, {a, b});
  CHECK(values(most[0]) == V{0.5, 0, 1});
  CHECK(values(most[1]) == V{0.5, 1, 0});
  const auto least = ag::grad({ag::sum(ag::minimum(a, b))}, {a, b});
  CHECK(values(least[0]) == V{0.5, 1, 0});
  CHECK(slope([](auto& x) { return ag::max(x); }, {2, 5, 5, 1}) == V{0, 0.5, 0.5, 0});
  CHECK(slope([](auto& x) { return ag::max(x); }, {INFINITY, -INFINITY, 1, INFINITY}) ==
        V{0.5, 0, 0, 0.5});
  CHECK(slope([](auto& x) { return ag::min(x); }, {1, 5, 1, 1}) == V{1.0 / 3, 0, 1.0 / 3, 1.0 / 3});
}

TEST_CASE("NaN is kept") {
  const Tensor x = ag::tensor({kNan, 1.0}), y = ag::tensor({2.0, kNan});
  for (const Tensor& t :
       {ag::maximum(x, y), ag::maximum(y, x), ag::minimum(x, y), ag::minimum(y, x)})
    for (const double v : values(t)) CHECK(std::isnan(v));
  for (const std::int64_t n : {3, 40, 97})
    for (std::int64_t at = 0; at < n; ++at)
      for (const auto dtype : {ag::float32, ag::float64}) {
        Tensor row = ag::ones({n}, dtype);
        row[at] = 2;
        CHECK(ag::max(row).item() == 2);
        row[at] = 0.5;
        CHECK(ag::min(row).item() == 0.5);
        row[at] = kNan;
        CHECK(std::isnan(ag::max(row).item()));
        CHECK(std::isnan(ag::min(row).item()));
        CHECK(ag::argmax(row).item() == static_cast<double>(at));
      }
  CHECK(std::isnan(ag::relu(x).to_vector<double>()[0]));
  CHECK(std::isnan(values(ag::clamp(x, -1, 1))[0]));
  CHECK(values(x != x) == V{1, 0});
  CHECK(values(x == x) == V{0, 1});
  CHECK(values(x < 5.0) == V{0, 1});
}

TEST_CASE("powers at zero and of negative bases") {
  CHECK(ag::pow(ag::tensor(-2.0), 3).item() == Catch::Approx(-8));
  CHECK(values(ag::pow(ag::tensor({0.0, 1.0}), 3)) == V{0, 1});
  CHECK(values(ag::pow(ag::tensor({-2.0, 0.0}), 2)) == V{4, 0});
  CHECK(values(ag::pow(ag::tensor({0.0}), 0)) == V{1});
  CHECK(std::isnan(ag::pow(ag::tensor(-2.0), 0.5).item()));
  CHECK(slope([](auto& x) { return ag::pow(x, 3); }, {-2, 0}) == V{12, 0});
  CHECK(slope([](auto& x) { return ag::pow(x, 1); }, {-2, 0}) == V{1, 1});
  CHECK(slope([](auto& x) { return ag::pow(x, 0); }, {-2, 0}) == V{0, 0});
  CHECK(slope([](auto& x) { return ag::pow(0, x); }, {2}) == V{0});
}

TEST_CASE("powers with exponent zero have right mixed derivatives") {
  const auto f = [](const Tensor& a, const Tensor& b) { return ag::pow(a, b); };
  const Tensor zero = ag::zeros({2}, ag::float64);
  const ag::GradcheckOptions tight{.atol = 1e-7, .rtol = 1e-6};
  CHECK(ag::gradgradcheck(f, {ag::tensor({1.5, 0.5}), zero}, tight).report() == "passed");
}

TEST_CASE("special values of powers are those of IEEE 754") {
  const V special{0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1e10, -1e10, kInf, -kInf, kNan};
  for (const ag::DType dtype : {ag::float32, ag::float64})
    for (const double a : special)
      for (const double b : special) {
        const double got = ag::pow(ag::full({}, a, dtype), ag::full({}, b, dtype)).item();
        const double want = std::pow(a, b);
        INFO(name(dtype) << " pow(" << a << ", " << b << ") = " << got << ", not " << want);
        if (std::isnan(want)) {
          CHECK(std::isnan(got));
        } else if (std::isinf(want) || want == 0 || std::abs(want) > 1e38) {
          CHECK(std::signbit(got) == std::signbit(want));
          CHECK((want == 0 ? got == 0 : std::isinf(got) || got == Catch::Approx(want)));
        } else {
          CHECK(got == Catch::Approx(want));
        }
      }
  CHECK(slope([](auto& x) { return ag::pow(x, -1); }, {0}) == V{-kInf});
}

TEST_CASE("infinities pass through the stable formulas") {
  const Tensor x = ag::tensor({-kInf, -1000.0, 1000.0, kInf});
  CHECK(values(ag::sigmoid(x)) == V{0, 0, 1, 1});
  CHECK(values(ag::softplus(x)) == V{0, 0, 1000, kInf});
  CHECK(values(ag::tanh(x)) == V{-1, -1, 1, 1});
  CHECK(ag::logsumexp(ag::tensor({1000.0, 1000.0})).item() == Catch::Approx(1000 + std::log(2)));
  CHECK(ag::logsumexp(ag::tensor({-kInf, -kInf})).item() == -kInf);
  CHECK(ag::logsumexp(ag::tensor({kInf, 1.0})).item() == kInf);
  CHECK(ag::logsumexp(ag::zeros({0}, ag::float64)).item() == -kInf);
  const Tensor p = ag::softmax(ag::tensor({1000.0, 0.0, -kInf}));
  CHECK(values(p) == V{1, 0, 0});
  CHECK(values(ag::log_softmax(ag::tensor({1000.0, 0.0}))) == V{0, -1000});
}

TEST_CASE("reductions of nothing") {
  const Tensor none = ag::zeros({0, 3}, ag::float64);
  CHECK(ag::sum(none).item() == 0);
  CHECK(values(ag::sum(none, 0)) == V{0, 0, 0});
  CHECK(ag::sum(none, 1).shape() == ag::Shape(0));
  CHECK(std::isnan(ag::mean(none).item()));
  CHECK(std::isnan(ag::var(ag::tensor({1.0})).item()));
  CHECK_THROWS_WITH(ag::max(none),
                    ContainsSubstring("max: the reduced axes must not be empty, got shape (0, 3)"));
}

TEST_CASE("any axes are reduced, adjacent or not, empty or of size 1") {
  for (const ag::Shape& shape : {ag::Shape{2, 3, 4, 3, 2}, ag::Shape{2, 1, 3, 2, 1},
                                 ag::Shape{1, 2, 1, 1, 5}, ag::Shape{2, 0, 3, 2, 4}}) {
    const Tensor x = ag::reshape(ag::sin(ag::arange(shape.numel()).to(ag::float64) * 7), shape);
    for (unsigned which = 1; which < 32; ++which) {
      ag::Axes axes, order;
      ag::Shape kept;
      for (std::int64_t i = 0; i < 5; ++i)
        if (which >> i & 1)
          axes.push_back(i);
        else
          order.push_back(i), kept.push_back(shape[std::size_t(i)]);
      order.append(axes.begin(), axes.end());
      const std::int64_t n = kept.numel() ? shape.numel() / kept.numel() : 1;
      INFO(fmt::format("axes {:05b} from the right of {}", which, shape));
      // The reduced axes behind the others, as one.
      const Tensor rows = ag::reshape(ag::permute(x, order), {kept.numel(), n});
      CHECK(ag::allclose(ag::sum(x, axes), ag::reshape(ag::sum(rows, 1), kept), 1e-13, 1e-15));
      if (n == 0) continue;
      CHECK(same_bits(ag::max(x, axes), ag::reshape(ag::max(rows, 1), kept)));
      CHECK(same_bits(ag::min(x, axes), ag::reshape(ag::min(rows, 1), kept)));
    }
  }
}

TEST_CASE("products have their gradient at zeros, to any order") {
  const auto prod = [](auto& x) { return ag::prod(x); };
  CHECK(slope(prod, {2, 0, 3}) == V{0, 6, 0});
  CHECK(slope(prod, {2, 0, 0}) == V{0, 0, 0});
  CHECK(slope([](auto& x) { return ag::cumprod(x, 0); }, {2, 0, 3}) == V{1, 8, 0});
  // d²(xyz) / dy dz = x, where y = z = 0.
  const Tensor x = ag::tensor({2.0, 0.0, 0.0}).requires_grad_();
  const Tensor first = ag::grad({ag::prod(x)}, {x}, {.create_graph = true})[0];
  CHECK(values(ag::grad({ag::select(first, 0, 1)}, {x})[0]) == V{0, 0, 2});
  CHECK(ag::prod(ag::zeros({0})).item() == 1);
  CHECK(ag::prod(ag::tensor({3, 4})).item<std::int64_t>() == 12);
}

TEST_CASE("norms and deviations have the gradient 0 where they are 0, to any order") {
  for (const double p : {0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, -1.0, kInf, -kInf}) {
    INFO("p " << p);
    Tensor x = ag::zeros({3}, ag::float64).requires_grad_();
    Tensor y = ag::norm(x, p);
    CHECK(y.item() == 0);
    for (int order = 1; order <= 3 && y.requires_grad(); ++order) {
      const auto g = ag::grad({y}, {x}, {.create_graph = true, .allow_unused = true})[0];
      if (!g.defined()) break;
      y = ag::sum(g);
      CHECK(y.item() == 0);
    }
    // One zero in a line does no harm to the others.
    for (const double g : slope([p](auto& t) { return ag::norm(t, p); }, {0, 1, -2}))
      CHECK(std::isfinite(g));
  }
  CHECK(slope([](auto& t) { return ag::norm(t, kInf); }, {1, -2, 2}) == V{0, -0.5, 0.5});
  CHECK(ag::norm(ag::full({4}, 1e300, ag::float64)).item() == Catch::Approx(2e300));
  CHECK(ag::norm(ag::full({4}, 1e-300, ag::float64), 3).item() > 1e-300);
  CHECK(ag::norm(ag::tensor({kInf, 1.0})).item() == kInf);
  CHECK(std::isnan(ag::norm(ag::tensor({kNan, 1.0})).item()));
  CHECK(ag::norm(ag::tensor({kNan, 0.0}), 0).item() == 1);
  CHECK(ag::norm(ag::zeros({0})).item() == 0);
  // The second derivative at an element that is 0 beside others.
  const Tensor x = ag::tensor({0.0, 2.0}).requires_grad_();
  const Tensor first = ag::grad({ag::norm(x)}, {x}, {.create_graph = true})[0];
  CHECK(values(ag::grad({ag::select(first, 0, 0)}, {x})[0]) == V{0.5, 0});

  CHECK(slope([](auto& t) { return ag::std(t); }, {3, 3, 3}) == V{0, 0, 0});
  CHECK(slope([](auto& t) { return ag::normalize(t, 2, 0); }, {0, 0}) == V{1e12, 1e12});
  CHECK(std::isnan(ag::std(ag::tensor({1.0})).item()));
}

TEST_CASE("the order of equal elements and of NaN") {
  const Tensor x = ag::tensor({2.0, kNan, 1.0, 2.0, -0.0, 0.0});
  CHECK(values(ag::argsort(x)) == V{4, 5, 2, 0, 3, 1});
  CHECK(values(ag::argsort(x, -1, true)) == V{1, 0, 3, 2, 4, 5});
  CHECK(values(ag::topk(x, 3).indices) == V{1, 0, 3});
  CHECK(values(ag::topk(x, 3, -1, false).indices) == V{4, 5, 2});
  CHECK(values(ag::topk(x, 3, -1, true, false).indices) == V{0, 1, 3});
  CHECK(ag::kthvalue(x, 4).indices.item() == 0);
  CHECK(std::isnan(ag::median(x).item()));
  CHECK(std::isnan(ag::quantile(x, 0.1).item()));
  CHECK(ag::argmin(x).item() == 1);
  CHECK(values(ag::cummax(ag::tensor({1.0, 3.0, 3.0, 2.0}), 0).indices) == V{0, 1, 2, 2});
  CHECK(values(ag::cummin(ag::tensor({2.0, kNan, 1.0}), 0).indices) == V{0, 1, 1});
  const auto [sorted, indices] = ag::sort(ag::tensor({true, false, true}));
  CHECK(values(sorted) == V{0, 1, 1});
  CHECK(values(indices) == V{1, 0, 2});
  CHECK(ag::searchsorted(ag::tensor({1.0, 2.0}), ag::tensor(kNan)).item() == 2);
  CHECK(slope([](auto& t) { return ag::median(t); }, {1, 3, 2, 3}) == V{0, 0, 1, 0});
  CHECK(ag::median(ag::tensor({4, 1, 3, 2})).item() == 2);
  CHECK(ag::quantile(ag::tensor({-kInf, 1.0}), 0.25).item() == -kInf);
  CHECK(ag::quantile(ag::tensor({kInf, kInf}), 0.25).item() == kInf);
}

TEST_CASE("reductions to bool and counts") {
  const Tensor none = ag::zeros({0});
  CHECK(ag::all(none).item<bool>());
  CHECK_FALSE(ag::any(none).item<bool>());
  CHECK(ag::any(ag::tensor({0.0, kNan})).item<bool>());
  CHECK(values(ag::all(ag::tensor({{true, false}, {true, true}}), 1)) == V{0, 1});
  CHECK(ag::count_nonzero(ag::tensor({0, 3, -1})).item() == 2);
  CHECK(values(ag::bincount(ag::tensor({1, 3, 1}), 5)) == V{0, 2, 0, 1, 0});
  CHECK(values(ag::bincount(ag::zeros({0}, ag::int64), 2)) == V{0, 0});
  CHECK(ag::bincount(ag::tensor({1, 3})).dtype() == ag::int64);
  CHECK(values(ag::cumsum(ag::tensor({true, true}), 0)) == V{1, 2});
}

TEST_CASE("sums of exponentials of -inf have the gradient 0") {
  CHECK(slope([](auto& x) { return ag::logsumexp(x); }, {-kInf, -kInf}) == V{0, 0});
  CHECK(slope([](auto& x) { return ag::logsumexp(x); }, {-kInf, 1}) == V{0, 1});
  const auto scan = [](const Tensor& x) { return ag::logcumsumexp(x, 0); };
  CHECK(slope(scan, {-kInf, 1}) == V{0, 1});
  CHECK(slope(scan, {-kInf, -kInf}) == V{0, 0});
  CHECK(values(scan(ag::tensor({1000.0, -kInf, kInf}))) == V{1000, 1000, kInf});
  CHECK(std::isnan(values(scan(ag::tensor({kNan, 1.0})))[1]));
  CHECK(slope([](auto& x) { return ag::nansum(x); }, {kNan, 2}) == V{0, 1});
  CHECK(slope([](auto& x) { return ag::nanmean(x); }, {kNan, 2}) == V{0, 1});
  CHECK(std::isnan(ag::nanmean(ag::tensor({kNan})).item()));
}

TEST_CASE("a float32 sum of many ones is exact, along any axis") {
  CHECK(ag::sum(ag::ones({40000000})).item() == 40000000);
  CHECK(values(ag::sum(ag::ones({20000000, 2}), 0)) == V{20000000, 20000000});
}

TEST_CASE("a number never changes the dtype of a tensor") {
  CHECK((ag::ones({2}) * 2.5).dtype() == ag::float32);
  CHECK((2.5 / ag::ones({2})).dtype() == ag::float32);
  CHECK((ag::arange(3) + 1).dtype() == ag::int64);
  CHECK(ag::pow(ag::ones({2}), 0.5).dtype() == ag::float32);
  CHECK(ag::where(ag::ones({2}) > 0.5, ag::ones({2}), 2.0).dtype() == ag::float32);
  CHECK_THROWS_WITH(
      ag::arange(3) * 0.5,
      ContainsSubstring(
          "the value must be representable in the tensor's dtype, got 0.5 for int64"));
}

TEST_CASE("integers add, compare and reduce exactly and refuse what needs floats") {
  const Tensor i = ag::tensor({3, -1, 2});
  CHECK(values(i * i - 1) == V{8, 0, 3});
  CHECK(values(ag::abs(i)) == V{3, 1, 2});
  CHECK(values(ag::clamp(i, 0)) == V{3, 0, 2});
  CHECK(values(i >= 2) == V{1, 0, 1});
  CHECK(ag::max(i).item() == 3);
  CHECK(ag::sum(i > 0).item() == 2);
  CHECK(ag::sum(i > 0).dtype() == ag::int64);
  CHECK(values(ag::maximum(i, 0)) == V{3, 0, 2});
  CHECK_THROWS_WITH(
      ag::exp(i),
      ContainsSubstring("exp: needs float32 or float64, got int64; convert with .to(float32)"));
  CHECK_THROWS_WITH(i / i, ContainsSubstring("div: needs float32 or float64, got int64"));
  CHECK_THROWS_WITH(ag::mean(i), ContainsSubstring("mean: needs float32 or float64, got int64"));
}

TEST_CASE("cross-entropy ignores, weighs and smooths as its formula says") {
  const Tensor z = ag::tensor({{1.0, 2.0, 0.5}, {0.1, -1.0, 3.0}});
  const auto logp = values(ag::log_softmax(z, 1));
  CHECK(ag::cross_entropy(z, ag::tensor({1, 2})).item() == Catch::Approx(-(logp[1] + logp[5]) / 2));
  CHECK(ag::cross_entropy(z, ag::tensor({-100, 2})).item() == Catch::Approx(-logp[5]));
  CHECK(std::isnan(ag::cross_entropy(z, ag::tensor({-100, -100})).item()));
  CHECK(ag::cross_entropy(z, ag::tensor({1, 2}), {.weight = ag::tensor({1.0, 2.0, 4.0})}).item() ==
        Catch::Approx(-(2 * logp[1] + 4 * logp[5]) / 6));
  const double smooth = -0.9 * logp[1] - 0.1 / 3 * (logp[0] + logp[1] + logp[2]);
  CHECK(ag::cross_entropy(ag::select(z, 0, 0), ag::tensor(1), {.label_smoothing = 0.1}).item() ==
        Catch::Approx(smooth));
  CHECK(ag::cross_entropy(z, ag::tensor({1, 2}), {.reduction = ag::Reduction::none}).shape() ==
        ag::Shape(2));
}
