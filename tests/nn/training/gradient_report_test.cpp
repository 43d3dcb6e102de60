#include "nn/training/gradient_report.hpp"

#include <cmath>
#include <limits>

#include "autograd/core/random.hpp"
#include "autograd/ops/ops.hpp"
#include "nn/layers/container.hpp"
#include "nn/layers/linear.hpp"
#include "nn/optim/optim.hpp"
#include "nn/training/clip.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using Kind = nn::GradientReport::Kind;

namespace {

struct Weights : nn::Module {
  nn::Parameter a{ag::tensor({3.0, 4.0})}, b{ag::tensor({1.0})};
  NN_MODULE(a, b)
};

nn::GradientReport report_of(const Tensor& ga, const Tensor& gb,
                             const nn::GradientReportOptions& options = {}) {
  Weights model;
  model.a.set_grad(ga);
  model.b.set_grad(gb);
  return nn::gradient_report(model, options);
}

}  // namespace

TEST_CASE("gradient_report gives the statistics of every parameter") {
  const auto report = report_of(ag::tensor({-6.0, 0.0}), ag::tensor({8.0}), {.lr = 0.01});
  REQUIRE(report.rows.size() == 2);
  const auto& row = report.rows[0];
  CHECK(row.name == "a");
  CHECK(row.shape == ag::Shape{2});
  CHECK(row.norm == Catch::Approx(6));
  CHECK(row.mean == Catch::Approx(-3));
  CHECK(row.std == Catch::Approx(3));
  CHECK(row.rms == Catch::Approx(std::sqrt(18.0)));
  CHECK(row.zeros == 0.5);
  CHECK(row.max_abs == 6);
  CHECK(row.weight_norm == 5);
  CHECK(row.update_ratio == Catch::Approx(0.01 * 6 / 5));
  CHECK(report.total_norm == Catch::Approx(10));
  CHECK(report.healthy());
  CHECK(report.verdict() == "gradients look healthy");
  CHECK_THAT(report.str(), ContainsSubstring("parameter      norm") && ContainsSubstring("update"));
  CHECK(fmt::format("{}", report) == report.str());
}

TEST_CASE("gradient_report names vanishing and exploding gradients by the documented thresholds") {
  auto kinds = [](double a, double b, nn::GradientReportOptions options = {}) {
    const auto report = report_of(ag::tensor({a, a}), ag::tensor({b}), options);
    CHECK(report.healthy() ==
          (report.rows[0].kind == Kind::healthy && report.rows[1].kind == Kind::healthy));
    return std::pair(report.rows[0].kind, report.rows[1].kind);
  };
  CHECK(kinds(1.01e-4, 1) == std::pair(Kind::healthy, Kind::healthy));
  CHECK(kinds(0.99e-4, 1) == std::pair(Kind::vanishing, Kind::healthy));
  CHECK(kinds(0.99e-4, 1, {.vanishing = 1e-6}) == std::pair(Kind::healthy, Kind::healthy));
  CHECK(kinds(1, 1001) == std::pair(Kind::healthy, Kind::exploding));
  CHECK(kinds(1, 1001, {.exploding = 1e6}) == std::pair(Kind::healthy, Kind::healthy));
  CHECK(kinds(1e300, 1) == std::pair(Kind::exploding, Kind::vanishing));
  CHECK(kinds(0, 1) == std::pair(Kind::zero, Kind::healthy));
  const auto report = report_of(ag::tensor({1e-6, 1e-6}), ag::tensor({2000.0}));
  CHECK(report.verdict() ==
        "b: exploding (norm above 1000); clip the gradients, normalise, or lower lr\n"
        "a: vanishing (RMS below 0.0001 of the largest); try ReLU with Kaiming values, "
        "normalisation, or residual connections");
}

TEST_CASE("gradient_report judges updates when it knows the learning rate") {
  const auto report = report_of(ag::tensor({1.0, 1.0}), ag::tensor({1.0}), {.lr = 0.2});
  CHECK(report.rows[0].kind == Kind::healthy);
  CHECK(report.rows[1].kind == Kind::large_update);
  CHECK(report.healthy());
  CHECK_THAT(report.verdict(), ContainsSubstring("b: large update (above 0.1 of the weights)"));
  CHECK(report_of(ag::tensor({1.0, 1.0}), ag::tensor({1.0}), {.lr = 1e-5}).rows[0].kind ==
        Kind::small_update);
}

TEST_CASE("gradient_report names what is not finite, missing, or frozen") {
  const double inf = std::numeric_limits<double>::infinity();
  const auto report = report_of(ag::tensor({std::nan(""), inf}), Tensor());
  CHECK(report.rows[0].kind == Kind::nonfinite);
  CHECK(report.rows[0].nan == 1);
  CHECK(report.rows[0].inf == 1);
  CHECK(report.rows[1].kind == Kind::missing);
  CHECK(std::isnan(report.total_norm));
  CHECK_FALSE(report.healthy());
  CHECK_THAT(report.str(), ContainsSubstring("nonfinite (1 NaN, 1 Inf)"));
  CHECK_THAT(report.verdict(),
             ContainsSubstring("a: NaN or Inf") && ContainsSubstring("b: no gradient"));
  Weights model;
  model.a = ag::tensor({inf, 0.0});
  model.b.requires_grad_(false);
  model.a.set_grad(ag::tensor({1.0, 1.0}));
  CHECK_THAT(nn::gradient_report(model).str(),
             ContainsSubstring("1 bad values in the parameter") && ContainsSubstring("frozen"));
  model.requires_grad_(false);
  model.a = ag::tensor({0.0, 0.0});
  CHECK(nn::gradient_report(model).verdict() == "no parameter to train");
  CHECK(nn::gradient_report(nn::ReLU()).rows.empty());
}

TEST_CASE("gradient_report finds the vanishing gradients of a deep sigmoid network") {
  ag::manual_seed(1);
  nn::MLP deep(8, std::vector<std::int64_t>(12, 8), 1, {.activation = nn::Sigmoid()});
  ag::sum(deep(ag::randn({16, 8}))).backward();
  const auto report = nn::gradient_report(deep);
  CHECK(report.rows.front().kind == Kind::vanishing);
  CHECK(report.rows.back().kind == Kind::healthy);
  CHECK(report.total_norm == Catch::Approx(nn::clip_grad_norm_(deep.parameters(), 1e9)));
}
