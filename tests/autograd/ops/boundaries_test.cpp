#include <cmath>
#include <limits>

#include "autograd/functional.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/checkpoint.hpp"
#include "tests/catch.hpp"

// More of what docs/numerics.md promises: gradients at NaN and infinities, next to poles, and
// hostile arguments.
namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using V = std::vector<double>;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

V values(const Tensor& t) { return t.to(ag::float64).to_vector<double>(); }

// Equal, NaN too.
bool same(const V& a, const V& b) {
  bool equal = a.size() == b.size();
  for (std::size_t i = 0; equal && i < a.size(); ++i)
    equal = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
  return equal;
}

// Gradients of the sum of f, by kernels; the recorded ones must be the same.
template <class F>
V slopes(F f, V at) {
  const Tensor x = ag::tensor(at).requires_grad_();
  const Tensor y = ag::sum(f(x));
  const V fused = values(ag::grad({y}, {x}, {.retain_graph = true})[0]);
  CHECK(same(fused, values(ag::grad({y}, {x}, {.create_graph = true})[0])));
  return fused;
}

using Binary = Tensor (*)(const Tensor&, const Tensor&);
V pair(Binary f, double a, double b) {
  return slopes([f](const Tensor& x) { return f(x[0], x[1]); }, {a, b});
}

}  // namespace

TEST_CASE("a NaN that is the result gets the gradient") {
  for (const Binary f : {static_cast<Binary>(ag::maximum), static_cast<Binary>(ag::minimum)}) {
    CHECK(pair(f, kNan, 1) == V{1, 0});
    CHECK(pair(f, 1, kNan) == V{0, 1});
    CHECK(pair(f, kNan, kNan) == V{0.5, 0.5});
  }
  for (const bool largest : {false, true})
    CHECK(slopes([=](const Tensor& x) { return largest ? ag::max(x) : ag::min(x); },
                 {1, kNan, 2, kNan}) == V{0, 0.5, 0, 0.5});
  CHECK(same(pair(ag::logaddexp, kNan, 1), {kNan, kNan}));
  CHECK(same(pair(ag::logaddexp, kInf, kNan), {kNan, kNan}));
  CHECK(pair(ag::logaddexp, kInf, kInf) == V{0.5, 0.5});
  const auto clamp = [](const Tensor& x) { return ag::clamp(x[0], x[1], x[2]); };
  CHECK(slopes(clamp, {kNan, 0, 1}) == V{0, 0, 0});
  CHECK(slopes([](const Tensor& x) { return ag::hardshrink(x); }, {kNan}) == V{1});
}

TEST_CASE("a sum of exponentials with +inf has gradients for the others") {
  CHECK(same(slopes([](const Tensor& x) { return ag::logsumexp(x); }, {1, kInf, 2}), {0, kNan, 0}));
  const auto scan = [](const Tensor& x) { return ag::logcumsumexp(x, 0); };
  CHECK(values(scan(ag::tensor({1.0, kInf, 2.0, kInf}))) == V{1, kInf, kInf, kInf});
  CHECK(same(slopes(scan, {1, kInf, 2, kInf}), {1, kNan, 0, kNan}));
}

TEST_CASE("quantiles give their gradient to the neighbours in the order") {
  const auto quantile = [](double q) {
    return [q](const Tensor& x) { return ag::quantile(x, q); };
  };
  CHECK(slopes(quantile(0.25), {3, 1, 2}) == V{0, 0.5, 0.5});
  CHECK(slopes(quantile(0.5), {2, 2, 2}) == V{0, 1, 0});
  CHECK(slopes(quantile(0.25), {2, 2, 2}) == V{0.5, 0.5, 0});
}

TEST_CASE("covariances of one row and of one observation") {
  CHECK(ag::cov(ag::tensor({{1.0, 2.0, 3.0}})).shape() == ag::Shape(1, 1));
  CHECK(ag::cov(ag::tensor({1.0, 2.0, 3.0})).shape() == ag::Shape());
  CHECK(ag::cov(ag::tensor({1.0, 2.0, 3.0})).item() == 1);
  CHECK(same(values(ag::cov(ag::tensor({{1.0}, {2.0}}))), V(4, kNan)));
}

TEST_CASE("index tensors may be 0-d") {
  const Tensor x = ag::tensor({{1.0, 2.0}, {3.0, 4.0}});
  CHECK(values(x[ag::tensor(-1)]) == V{3, 4});
  CHECK(x[{ag::tensor(1), ag::tensor(0)}].shape() == ag::Shape());
  CHECK(ag::take(x, ag::tensor(2)).item() == 3);
  CHECK_THROWS_WITH(ag::index_select(x, 0, ag::tensor(1)),
                    ContainsSubstring("the index must have one axis, got shape ()"));
}

TEST_CASE("gamma functions next to their poles and half way between them") {
  struct Line {
    std::int64_t order;  // 0: digamma, which is the gradient of lgamma
    double x, right;
  };
  for (const Line& l : std::vector<Line>{{0, -1e-8, 99999999.42278434},
                                         {0, -1e-17, 1e17},
                                         {0, -1e-300, 1e300},
                                         {0, 1e-17, -1e17},
                                         {0, -1 - 0x1p-40, 1099511627776.4228},
                                         {0, -2 + 0x1p-40, -1099511627775.0772},
                                         {1, -1e-17, 1e34},
                                         {1, 1e-17, 1e34},
                                         {1, -1 + 0x1p-40, 0x1p80},
                                         {1, 1e300, 1e-300},
                                         {2, -1e-17, 2e51},
                                         {2, -0.5, -0.82879664423432},
                                         {10, -0.5, -42108.85876897549},
                                         {30, -0.5, -9.222127066162056e+26},
                                         {30, -5.5, -16926495.147567917},
                                         {100, -1.5, -5.998777844943401e+117},
                                         {30, 26.073357160391076, -4.870885805808108e-12},
                                         {170, 1000, -4.6422754818855403e-206}}) {
    INFO("order " << l.order << " at " << l.x);
    const Tensor x = ag::tensor(l.x).requires_grad_();
    CHECK(ag::polygamma(l.order, x).item() == Catch::Approx(l.right).epsilon(2e-14));
    if (l.order != 0) continue;
    CHECK(ag::digamma(x).item() == Catch::Approx(l.right).epsilon(2e-15));
    CHECK(ag::grad({ag::lgamma(x)}, {x})[0].item() == Catch::Approx(l.right).epsilon(2e-15));
  }
  CHECK(ag::digamma(ag::tensor(-1e-8f)).item() == Catch::Approx(1e8).epsilon(1e-7));
  CHECK(ag::polygamma(1, ag::tensor(-1e-15f)).item() == Catch::Approx(1e30).epsilon(1e-6));
  // ψ'(x) = ψ'(x + 1) + 1/x² on both sides of each pole.
  for (const int pole : {0, -1, -2, -7})
    for (const double step : {0.4, 1e-3, 1e-9, 1e-14})
      for (const double side : {-step, step}) {
        const double x = pole + side,
                     right = ag::polygamma(1, ag::tensor(x + 1)).item() + 1 / x / x;
        if (pole != 0 && step < 1e-3) continue;  // x + 1 is rounded
        CHECK(ag::polygamma(1, ag::tensor(x)).item() == Catch::Approx(right).epsilon(1e-13));
      }
}

TEST_CASE("what has no int64 is not converted to one") {
  for (const double bad : {kNan, kInf, -kInf, 1e300, 0x1p63, -0x1.0000000000001p63}) {
    CHECK_THROWS_WITH(ag::tensor({1.0, bad}).to(ag::int64),
                      ContainsSubstring("to: the elements must fit in int64, got ") &&
                          ContainsSubstring(" at element 1"));
    Tensor target = ag::zeros({1}, ag::int64);
    CHECK_THROWS_AS(target.copy_(ag::tensor({bad})), ag::Error);
  }
  CHECK_THROWS_AS(ag::full({}, kNan, ag::float32).to(ag::int64), ag::Error);
  CHECK(ag::tensor({-0x1p63, -1.9}).to(ag::int64).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{kLeast, -1});
  CHECK(values(ag::tensor({kNan, kInf, 0.0}).to(ag::boolean)) == V{1, 1, 0});
}

TEST_CASE("hostile sizes and indices are refused in one line") {
  const std::int64_t huge = std::int64_t{1} << 40;
  const Tensor none = ag::zeros({0}), x = ag::ones({2, 3});
  const auto refuses = [](auto call) {
    try {
      call();
    } catch (const ag::Error& e) {
      CHECK(std::string(e.what()).find('\n') == std::string::npos);
      return true;
    }
    return false;
  };
  CHECK(refuses([&] { ag::chunk(none, huge); }));
  CHECK(refuses([&] { ag::chunk(none, kMost); }));
  CHECK(ag::chunk(ag::ones({3}), kMost).size() == 3);
  CHECK(ag::split(x, kMost, 1).size() == 1);
  CHECK(ag::unfold(x, 0, 1, kMost).shape() == ag::Shape(1, 3, 1));
  CHECK(refuses([&] { ag::reshape(none, {0, huge, huge}); }));
  CHECK(refuses([&] { ag::reshape(none, {huge, huge, 0}); }));
  CHECK(refuses([&] { ag::unflatten(none, 0, {0, huge, huge}); }));
  CHECK(refuses([&] { ag::one_hot(ag::tensor(kMost)); }));
  CHECK(refuses([&] { ag::one_hot(ag::tensor({kLeast})); }));
  CHECK(refuses([&] { ag::one_hot(ag::tensor(0), kMost); }));
  for (const std::int64_t i : {kLeast, kMost, huge}) {
    const Tensor index = ag::tensor({i}), square = ag::reshape(index, {1, 1});
    CHECK(refuses([&] { ag::scatter_add_zeros({2}, 0, index, ag::ones({1})); }));
    CHECK(refuses([&] { ag::scatter_add_zeros({0}, 0, index, ag::ones({1})); }));
    CHECK(refuses([&] { ag::scatter_add_zeros({i}, 0, ag::tensor({0}), ag::ones({1})); }));
    CHECK(refuses([&] { ag::scatter_add_zeros({kLeast, kLeast}, 0, square, ag::ones({1, 1})); }));
    CHECK(refuses([&] { ag::index_select(x, 0, index); }));
    CHECK(refuses([&] { ag::gather(x, 1, square); }));
    CHECK(refuses([&] { ag::take(x, index); }));
    CHECK(refuses([&] { ag::select(x, 0, i); }));
    CHECK(refuses([&] { ag::narrow(x, 0, i, i); }));
    CHECK(refuses([&] { ag::narrow(x, 0, 1, i); }));
    CHECK(refuses([&] { ag::index_put(x, {index}, 1); }));
    CHECK(refuses([&] { (void)x[i]; }));
    CHECK(refuses([&] { ag::sum(x, i); }));
    CHECK(refuses([&] { ag::transpose(x, i, 0); }));
    CHECK(refuses([&] { ag::zeros({i, 4}); }));
  }
}

TEST_CASE("an empty function is refused before anything calls it") {
  Tensor x = ag::ones({2}, ag::float64).requires_grad_();
  const auto empty = ContainsSubstring("got an empty one");
  CHECK_THROWS_WITH(x.register_hook(nullptr), empty);
  CHECK_THROWS_WITH(ag::checkpoint(std::function<Tensor(const Tensor&)>(), x), empty);
  CHECK_THROWS_WITH(ag::jacobian(ag::TensorFunction(), x), empty);
  CHECK_THROWS_WITH(ag::hessian(ag::TensorsFunction(), {x}), empty);
  CHECK_THROWS_WITH(ag::hvp(ag::TensorFunction(), x, x), empty);
  ag::sum(x).backward();
  CHECK(values(x.grad()) == V{1, 1});
}
