#include "nn/training/clip.hpp"

#include <cmath>
#include <limits>

#include "autograd/ops/ops.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor with_gradient(const Tensor& gradient) {
  Tensor t = ag::zeros(gradient.shape(), gradient.dtype()).requires_grad_();
  t.set_grad(gradient);
  return t;
}

// Gradients (3, -4) and (12): norm 13. The third has none, the fourth wants none.
ag::TensorList parameters() {
  return {with_gradient(ag::tensor({3.0, -4.0})), with_gradient(ag::tensor({12.0f})),
          ag::zeros({2}).requires_grad_(), ag::zeros({2})};
}

}  // namespace

TEST_CASE("clip_grad_norm_ scales all gradients to one norm and returns the norm before") {
  const ag::TensorList p = parameters();
  CHECK(nn::clip_grad_norm_(p, 6.5) == Catch::Approx(13));
  check_close(p[0].grad(), {1.5, -2}, 1e-6);
  check_close(p[1].grad(), {6}, 1e-6);
  CHECK_FALSE(p[2].grad().defined());
  CHECK(nn::clip_grad_norm_(p, 6.6) == Catch::Approx(6.5));
  check_close(p[0].grad(), {1.5, -2}, 1e-6);
}

TEST_CASE("clip_grad_norm_ knows every norm") {
  CHECK(nn::clip_grad_norm_(parameters(), kInf, 1) == Catch::Approx(19));
  CHECK(nn::clip_grad_norm_(parameters(), kInf, 3) == Catch::Approx(std::cbrt(27.0 + 64 + 1728)));
  CHECK(nn::clip_grad_norm_(parameters(), kInf, kInf) == 12);
  const ag::TensorList p = parameters();
  nn::clip_grad_norm_(p, 1, kInf);
  check_close(p[0].grad(), {0.25, -1.0 / 3}, 1e-6);
  // Every position of a long gradient counts.
  for (std::int64_t n = 1; n < 20; ++n)
    CHECK(nn::clip_grad_norm_({with_gradient(ag::ones({n}))}, kInf) ==
          Catch::Approx(std::sqrt(static_cast<double>(n))));
}

TEST_CASE("clip_grad_norm_ without gradients, or with gradients of 0, changes nothing") {
  CHECK(nn::clip_grad_norm_({}, 1) == 0);
  CHECK(nn::clip_grad_norm_({ag::zeros({2}).requires_grad_()}, 1) == 0);
  const Tensor zero = with_gradient(ag::zeros({2}));
  CHECK(nn::clip_grad_norm_({zero}, 0) == 0);
  check_close(zero.grad(), {0, 0});
  CHECK(nn::clip_grad_norm_({with_gradient(ag::zeros({0}))}, 1, kInf) == 0);
}

TEST_CASE("clip_grad_norm_ does not overflow on large float32 gradients") {
  const Tensor t = with_gradient(ag::full({2}, 1e30));
  CHECK(nn::clip_grad_norm_({t}, 1) == Catch::Approx(std::sqrt(2.0) * 1e30));
  check_close(t.grad(), {std::sqrt(0.5), std::sqrt(0.5)}, 1e-6);
}

TEST_CASE("clip_grad_norm_ sums long gradients exactly, and the same bits every time") {
  // Integers below 2^53 add without rounding in any order.
  std::vector<std::int64_t> values;
  for (int i = 0; i < 40000; ++i) values.push_back(i % 10 - 4);
  const Tensor steps = ag::tensor(values);
  const ag::TensorList p{with_gradient(steps.to(ag::float32)), with_gradient(ag::ones({3})),
                         with_gradient(steps.to(ag::float64))};
  CHECK(nn::clip_grad_norm_(p, kInf, 1) == 2 * 4000 * (4 + 3 + 2 + 1 + 0 + 1 + 2 + 3 + 4 + 5) + 3);
  CHECK(nn::clip_grad_norm_(p, kInf) == std::sqrt(2.0 * 4000 * 85 + 3));
  CHECK(nn::clip_grad_norm_(p, kInf, kInf) == 5);
  const Tensor noise = ag::sin(ag::arange(50000).to(ag::float64));
  const double norm = nn::clip_grad_norm_({with_gradient(noise)}, kInf);
  for (int i = 0; i < 5; ++i)
    CHECK(nn::clip_grad_norm_({with_gradient(noise.clone())}, kInf) == norm);
  nn::clip_grad_value_(p, 2);
  CHECK(nn::clip_grad_norm_(p, kInf, kInf) == 2);
}

TEST_CASE("clipping counts as a write only where it changes gradients") {
  const Tensor t = with_gradient(ag::ones({4}));
  const auto before = t.grad().version();
  nn::clip_grad_norm_({t}, 100);
  CHECK(t.grad().version() == before);
  nn::clip_grad_norm_({t}, 1);
  CHECK(t.grad().version() != before);
}

TEST_CASE("clip_grad_norm_ spreads a norm that is not finite, or throws") {
  for (double norm_type : {1.0, 2.0, 2.5, kInf}) {
    const ag::TensorList nan{with_gradient(ag::tensor({1.0, std::nan("")})),
                             with_gradient(ag::tensor({2.0}))};
    CHECK_THROWS_WITH(nn::clip_grad_norm_(nan, 1, norm_type, true),
                      "clip_grad_norm_: the norm of the gradients must be finite, got nan");
    CHECK(nan[1].grad().item() == 2);
    CHECK(std::isnan(nn::clip_grad_norm_(nan, 1, norm_type)));
    CHECK(std::isnan(nan[1].grad().item()));
  }
  const Tensor inf = with_gradient(ag::tensor({kInf, 1.0}));
  CHECK_THROWS_WITH(nn::clip_grad_norm_({inf}, 1, 2, true),
                    "clip_grad_norm_: the norm of the gradients must be finite, got inf");
  CHECK(nn::clip_grad_norm_({inf}, 1) == kInf);
  CHECK(std::isnan(inf.grad().to_vector<double>()[0]));
  CHECK(inf.grad().to_vector<double>()[1] == 0);
}

TEST_CASE("clip_grad_value_ limits each element") {
  const Tensor t = with_gradient(ag::tensor({3.0, -4.0, 0.5, std::nan(""), -kInf}));
  nn::clip_grad_value_({t, ag::zeros({1})}, 1.5);
  const auto g = t.grad().to_vector<double>();
  CHECK(std::vector<double>(g.begin(), g.begin() + 3) == std::vector<double>{1.5, -1.5, 0.5});
  CHECK(std::isnan(g[3]));
  CHECK(g[4] == -1.5);
}

TEST_CASE("Clipping refuses limits below 0") {
  CHECK_THROWS_WITH(nn::clip_grad_norm_({}, -1),
                    "clip_grad_norm_: max_norm must be at least 0, got -1");
  CHECK_THROWS_WITH(nn::clip_grad_norm_({}, 1, 0),
                    "clip_grad_norm_: norm_type must be above 0, got 0");
  CHECK_THROWS_WITH(nn::clip_grad_value_({}, std::nan("")),
                    "clip_grad_value_: clip_value must be at least 0, got nan");
}

TEST_CASE("clip_grad_norm_ is right where powers leave the range of double") {
  for (const double p : {2.0, 3.0, 0.5})
    for (const double unit : {1e200, 1e-200}) {
      const Tensor t = with_gradient(ag::tensor({3 * unit, -4 * unit}));
      const double norm = std::pow(std::pow(3, p) + std::pow(4, p), 1 / p) * unit;
      CHECK(nn::clip_grad_norm_({t}, 1, p) == Catch::Approx(norm));
      if (unit > 1)
        check_close(t.grad(), {3 * unit / norm, -4 * unit / norm}, 1e-6);
      else
        check_close(t.grad() / unit, {3, -4});
    }
  const Tensor single = with_gradient(ag::tensor({1e38f, -1e38f}));
  CHECK(nn::clip_grad_norm_({single}, 1, 10) == Catch::Approx(std::pow(2, 0.1) * 1e38));
  CHECK(std::isnan(nn::clip_grad_norm_({with_gradient(ag::tensor({NAN, 1.0f}))}, 1)));
}
