#include "nn/module/init.hpp"

#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/module/parameter.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
namespace init = nn::init;
using ag::Tensor;
using init::Nonlinearity;

namespace {

double average(const Tensor& t) { return ag::mean(t.detach()).item(); }
double deviation(const Tensor& t) { return std::sqrt(ag::var(t.detach()).item()); }
double bound(const Tensor& t) { return ag::max(ag::abs(t.detach())).item(); }

// A uniform sample that fills ±limit.
void check_uniform(const Tensor& t, double limit) {
  CHECK(bound(t) <= limit);
  CHECK(bound(t) > 0.995 * limit);
  CHECK(deviation(t) == Catch::Approx(limit / std::sqrt(3.0)).epsilon(0.02));
}

}  // namespace

TEST_CASE("Constant initial values fill a parameter without recording") {
  nn::Parameter p(ag::empty({2, 2}));
  init::ones_(p);
  check_close(p, {1, 1, 1, 1});
  init::zeros_(p);
  check_close(p, {0, 0, 0, 0});
  init::constant_(p, 0.25);
  check_close(p, {0.25, 0.25, 0.25, 0.25});
  CHECK(p.is_leaf());
  CHECK(p.requires_grad());
}

TEST_CASE("Random initial values have their distribution in both dtypes") {
  for (ag::DType dtype : {ag::float32, ag::float64}) {
    ag::Generator g(1);
    Tensor t = ag::empty({200, 100}, dtype);
    init::uniform_(t, -1, 3, g);
    check_uniform(t - 1, 2);
    init::normal_(t, 2, 0.5, g);
    CHECK(average(t) == Catch::Approx(2).epsilon(0.01));
    CHECK(deviation(t) == Catch::Approx(0.5).epsilon(0.02));
    CHECK(t.dtype() == dtype);
  }
}

TEST_CASE("Initial values come from the given generator, else from the default one") {
  Tensor a = ag::empty({8}), b = ag::empty({8});
  ag::Generator g(4);
  ag::manual_seed(4);
  init::normal_(a, 0, 1, g);
  init::normal_(b);
  CHECK(a.to_vector<float>() == b.to_vector<float>());
  init::normal_(b);
  CHECK(a.to_vector<float>() != b.to_vector<float>());
}

TEST_CASE("Truncated normal values lie within their bounds and have their moments") {
  ag::Generator g(2);
  Tensor t = ag::empty({20000}, ag::float64);
  SECTION("two deviations either side") {
    init::trunc_normal_(t, 1, 0.5, 0, 2, g);
    CHECK(ag::min(t).item() >= 0);
    CHECK(ag::max(t).item() <= 2);
    CHECK(average(t) == Catch::Approx(1).epsilon(0.01));
    CHECK(deviation(t) == Catch::Approx(0.5 * 0.8796).epsilon(0.02));
  }
  SECTION("a narrow interval") {
    init::trunc_normal_(t, 0, 1, 0.5, 0.501, g);
    CHECK(ag::min(t).item() >= 0.5);
    CHECK(ag::max(t).item() <= 0.501);
    CHECK(average(t) == Catch::Approx(0.5005).epsilon(1e-5));
  }
  SECTION("an upper tail without end: the mean of x beyond 4 is φ(4) / (1 - Φ(4))") {
    init::trunc_normal_(t, 0, 1, 4, std::numeric_limits<double>::infinity(), g);
    CHECK(ag::min(t).item() >= 4);
    CHECK(average(t) == Catch::Approx(4.22561).epsilon(0.003));
  }
  SECTION("a lower tail") {
    init::trunc_normal_(t, 0, 1, -100, -4, g);
    CHECK(ag::max(t).item() <= -4);
    CHECK(average(t) == Catch::Approx(-4.22561).epsilon(0.003));
  }
  SECTION("half of the distribution: mean √(2/π)") {
    init::trunc_normal_(t, 0, 1, 0, 50, g);
    CHECK(average(t) == Catch::Approx(0.797885).epsilon(0.02));
  }
}

TEST_CASE("Truncated normal values far from the mean follow the tail and end") {
  ag::Generator g(3);
  constexpr double inf = std::numeric_limits<double>::infinity();
  const auto draw = [&](double mean, double std, double low, double high) {
    Tensor t = ag::empty({2000}, ag::float64);
    init::trunc_normal_(t, mean, std, low, high, g);
    return t;
  };
  // Beyond x standard deviations the excess is exponential with mean 1/x.
  for (const double x : {1e2, 1e5, 1e10, 1e15}) {
    CHECK(average(draw(-x, 1, 0, inf)) * x == Catch::Approx(1).epsilon(0.08));
    CHECK(average(draw(x, 1, -inf, 0)) * x == Catch::Approx(-1).epsilon(0.08));
    CHECK(average(draw(-x * 3, 3, 0, 1e300)) * x == Catch::Approx(3).epsilon(0.08));
  }
  for (const double far : {1e160, 1e200, 1e308}) {
    const Tensor t = draw(-far, 1, far, inf);
    CHECK(ag::min(t).item() == far);
    CHECK(ag::max(t).item() == far);
    CHECK(ag::max(draw(0, 1e-300, -inf, -far)).item() == -far);
    CHECK(ag::max(draw(0, 1, -far, far)).item() < 10);
  }
  CHECK(ag::max(draw(0, 1e-300, 1e10, 2e10)).item() == 1e10);
}

TEST_CASE("Initial values refuse NaN and infinities") {
  constexpr double inf = std::numeric_limits<double>::infinity(), nan = NAN;
  Tensor t = ag::zeros({2, 2});
  const std::vector<std::function<void(double)>> fills{
      [&](double x) { init::uniform_(t, x, 1); },
      [&](double x) { init::uniform_(t, 0, x); },
      [&](double x) { init::normal_(t, x, 1); },
      [&](double x) { init::normal_(t, 0, x); },
      [&](double x) { init::trunc_normal_(t, x); },
      [&](double x) { init::trunc_normal_(t, 0, x); },
      [&](double x) { init::xavier_uniform_(t, x); },
      [&](double x) { init::xavier_normal_(t, x); },
      [&](double x) { init::kaiming_uniform_(t, {.a = x}); },
      [&](double x) { init::kaiming_normal_(t, {.a = x}); },
      [&](double x) { init::orthogonal_(t, x); },
      [&](double x) { init::calculate_gain(Nonlinearity::leaky_relu, x); }};
  for (const auto& fill : fills)
    for (const double x : {nan, inf, -inf}) CHECK_THROWS_AS(fill(x), ag::Error);
  CHECK_THROWS_WITH(init::trunc_normal_(t, nan), "trunc_normal_: mean must be finite, got nan");
  CHECK_THROWS_WITH(init::trunc_normal_(t, 0, 1, nan, 2),
                    "trunc_normal_: low must be below high, got nan and 2");
  CHECK_THROWS_WITH(init::trunc_normal_(t, 0, 1, 0, nan),
                    "trunc_normal_: low must be below high, got 0 and nan");
  CHECK_THROWS_WITH(init::uniform_(t, -1e308, 1e308),
                    "uniform_: high - low must be finite, got inf");
  CHECK(t.to_vector<float>() == std::vector<float>(4, 0));
}

TEST_CASE("Xavier values depend on both fans") {
  ag::Generator g(3);
  Tensor t = ag::empty({120, 80});
  init::xavier_uniform_(t, 2, g);
  check_uniform(t, 2 * std::sqrt(6.0 / 200));
  init::xavier_normal_(t, 2, g);
  CHECK(deviation(t) == Catch::Approx(2 * std::sqrt(2.0 / 200)).epsilon(0.02));
}

TEST_CASE("Kaiming values depend on one fan, with the receptive field, and the gain") {
  ag::Generator g(4);
  Tensor t = ag::empty({100, 20, 3, 3});
  init::kaiming_uniform_(t, {.a = std::sqrt(5.0)}, g);
  check_uniform(t, 1 / std::sqrt(180.0));
  init::kaiming_uniform_(t, {.mode = init::FanMode::fan_out, .nonlinearity = Nonlinearity::linear},
                         g);
  check_uniform(t, std::sqrt(3.0 / 900));
  init::kaiming_normal_(t, {.nonlinearity = Nonlinearity::relu}, g);
  CHECK(deviation(t) == Catch::Approx(std::sqrt(2.0 / 180)).epsilon(0.02));
  init::kaiming_normal_(ag::empty({0, 5}), {}, g);
}

TEST_CASE("Gains are PyTorch's") {
  CHECK(init::calculate_gain(Nonlinearity::linear) == 1);
  CHECK(init::calculate_gain(Nonlinearity::sigmoid) == 1);
  CHECK(init::calculate_gain(Nonlinearity::tanh) == 5.0 / 3);
  CHECK(init::calculate_gain(Nonlinearity::relu) == std::sqrt(2.0));
  CHECK(init::calculate_gain(Nonlinearity::leaky_relu) == std::sqrt(2 / 1.0001));
  CHECK(init::calculate_gain(Nonlinearity::leaky_relu, 1) == 1);
  CHECK(init::calculate_gain(Nonlinearity::selu) == 0.75);
}

TEST_CASE("Orthogonal matrices have orthonormal rows or columns, times the gain") {
  ag::Generator g(5);
  for (const auto& [rows, columns] : {std::pair(6, 6), {5, 9}, {9, 5}, {1, 3}, {3, 1}}) {
    Tensor t = ag::empty({rows, columns}, ag::float64);
    init::orthogonal_(t, 2, g);
    const Tensor q = rows <= columns ? t : ag::transpose(t);
    const Tensor product = ag::matmul(q, ag::transpose(q));
    for (std::int64_t i = 0; i < q.size(0); ++i)
      for (std::int64_t j = 0; j < q.size(0); ++j)
        CHECK(product.to_vector<double>()[static_cast<std::size_t>(i * q.size(0) + j)] ==
              Catch::Approx(i == j ? 4 : 0).margin(1e-12));
  }
  // Uniform over the group: the entries have mean 0, so no sign is preferred.
  double sum = 0;
  for (int i = 0; i < 400; ++i) {
    Tensor t = ag::empty({2, 2});
    init::orthogonal_(t, 1, g);
    sum += t.to_vector<float>()[0];
  }
  CHECK(std::abs(sum / 400) < 0.15);
  Tensor conv = ag::empty({4, 2, 3, 3});
  init::orthogonal_(conv, 1, g);
  CHECK(ag::sum(ag::square(conv)).item() == Catch::Approx(4));
  init::orthogonal_(ag::empty({0, 3}), 1, g);
}

TEST_CASE("Initial values refuse what they cannot fill") {
  CHECK_THROWS_WITH(init::zeros_(ag::arange(3)), "zeros_: needs float32 or float64, got int64");
  CHECK_THROWS_WITH(init::uniform_(ag::empty({2}), 1, 0),
                    "uniform_: low must be at most high, got 1 and 0");
  CHECK_THROWS_WITH(init::normal_(ag::empty({2}), 0, -1),
                    "normal_: std must be at least 0, got -1");
  CHECK_THROWS_WITH(init::trunc_normal_(ag::empty({2}), 0, 0),
                    "trunc_normal_: std must be above 0, got 0");
  CHECK_THROWS_WITH(init::trunc_normal_(ag::empty({2}), 0, 1, 2, 2),
                    "trunc_normal_: low must be below high, got 2 and 2");
  CHECK_THROWS_WITH(init::xavier_uniform_(ag::empty({3})),
                    "xavier_uniform_: the fans need a tensor of at least 2 axes (out, in, …), got "
                    "shape (3,)");
  CHECK_THROWS_WITH(init::kaiming_normal_(ag::empty({})),
                    "kaiming_normal_: the fans need a tensor of at least 2 axes (out, in, …), got "
                    "shape ()");
  CHECK_THROWS_WITH(init::orthogonal_(ag::empty({3})),
                    "orthogonal_: needs a tensor of at least 2 axes, got shape (3,)");
  const Tensor recorded = ag::ones({2, 2}) * ag::ones({2, 2}).requires_grad_();
  CHECK_THROWS_AS(init::zeros_(recorded), ag::Error);
}
