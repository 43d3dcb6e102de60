#include "nn/losses/losses.hpp"

#include <cmath>
#include <limits>

#include "autograd/core/random.hpp"
#include "autograd/gradcheck.hpp"
#include "autograd/tape/gradient.hpp"
#include "tests/nn/close.hpp"
#include "tests/points.hpp"

namespace ag = autograd;
using ag::Tensor;
using nn::Reduction;

namespace {

Tensor input() { return ag::tensor({{0.5, -1.25, 2.0}, {0.1, 3.0, -0.7}}); }
Tensor target() { return ag::tensor({{1.0, 0.0, 2.5}, {0.1, 0.5, -2.0}}); }
Tensor halves() { return ag::tensor({{1.0, 0.0, 0.5}, {0.0, 1.0, 1.0}}); }
Tensor class_weight() { return ag::tensor({0.5, 2.0, 1.0}); }

template <class F>
void check_gradients(const char* what, F f, const ag::TensorList& in) {
  const auto check = ag::gradgradcheck(f, in);
  INFO(what << ": " << check.report());
  CHECK(check);
}

template <class F>
std::vector<double> slopes(F loss, Tensor x) {
  x = x.detach().requires_grad_();
  loss(x).backward();
  return x.grad().template to_vector<double>();
}

}  // namespace

TEST_CASE("mse_loss is the mean of the squared differences") {
  check_close(nn::mse_loss(input(), target()), {1.667083333}, 1e-9);
  check_close(nn::mse_loss(input(), target(), {.reduction = Reduction::sum}), {10.0025});
  check_close(nn::mse_loss(input(), target(), {.reduction = Reduction::none}),
              {0.25, 1.5625, 0.25, 0, 6.25, 1.69});
  // The textbook's ½ (y - a)² of one sample.
  check_close(0.5 * nn::mse_loss(ag::tensor(0.5744), ag::tensor(1.0)), {0.09056768});
  CHECK(nn::mse_loss(ag::ones({2}), ag::zeros({2})).dtype() == ag::float32);
  CHECK(std::isnan(nn::mse_loss(ag::ones({0}), ag::ones({0})).item()));
  CHECK(nn::mse_loss(ag::ones({0}), ag::ones({0}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("l1, huber and smooth l1 losses have PyTorch's values") {
  check_close(nn::l1_loss(input(), target()), {1.008333333}, 1e-9);
  check_close(nn::huber_loss(input(), target(), {.delta = 0.75}), {0.5322916667}, 1e-9);
  check_close(nn::huber_loss(input(), target(), {.reduction = Reduction::none, .delta = 0.75}),
              {0.125, 0.65625, 0.125, 0, 1.59375, 0.69375});
  check_close(nn::smooth_l1_loss(input(), target(), {.reduction = Reduction::sum, .beta = 0.75}),
              {4.258333333}, 1e-9);
  check_close(nn::smooth_l1_loss(input(), target(), {.beta = 0}), {1.008333333}, 1e-9);
}

TEST_CASE("The huber loss has the slope delta at its kink and beyond") {
  const Tensor d = ag::tensor({-0.75, 0.75, 0.0, 2.0, 1e200});
  const auto g = slopes(
      [&](const Tensor& x) {
        return nn::huber_loss(x, ag::zeros_like(x), {.reduction = Reduction::sum, .delta = 0.75});
      },
      d);
  CHECK(g == std::vector<double>{-0.75, 0.75, 0, 0.75, 0.75});
}

TEST_CASE("binary_cross_entropy stays finite at 0 and 1, as PyTorch's does") {
  const Tensor p = ag::tensor({0.0, 1.0, 0.0, 1.0, 0.3, 0.9});
  const Tensor t = ag::tensor({0.0, 1.0, 1.0, 0.0, 0.25, 1.0});
  check_close(nn::binary_cross_entropy(p, t, {.reduction = Reduction::none}),
              {0, 0, 100, 100, 0.568499409, 0.1053605157}, 1e-9);
  const auto g = slopes(
      [&](const Tensor& x) {
        return nn::binary_cross_entropy(x, t, {.reduction = Reduction::sum});
      },
      p);
  check_close(ag::tensor(g), {0, 0, -1e12, 1e12, 0.2380952381, -1.111111111}, 1e-8);
  check_close(nn::binary_cross_entropy(p, t, {.weight = ag::tensor({2.0})}),
              {2 * (200 + 0.568499409 + 0.1053605157) / 6});
}

TEST_CASE("binary_cross_entropy refuses what is no probability") {
  const Tensor t = ag::zeros({2}, ag::float64);
  CHECK_THROWS_WITH(nn::binary_cross_entropy(ag::tensor({0.5, 1.5}), t),
                    "binary_cross_entropy: the input must be in [0, 1], got 1.5 at element 1; for "
                    "logits use binary_cross_entropy_with_logits");
  CHECK_THROWS_WITH(
      nn::binary_cross_entropy(ag::full({2}, std::nan("")), ag::zeros({2})),
      "binary_cross_entropy: the input must be in [0, 1], got nan at element 0; for logits use "
      "binary_cross_entropy_with_logits");
  CHECK_THROWS_WITH(nn::binary_cross_entropy(t, t, {.weight = ag::ones({3}, ag::float64)}),
                    "binary_cross_entropy: the shape must broadcast to (2,), got (3,)");
  CHECK_THROWS_WITH(
      nn::binary_cross_entropy(t, t, {.weight = ag::ones({2})}),
      "binary_cross_entropy: weight must have the dtype of the input, got float32 for "
      "float64");
}

TEST_CASE("binary_cross_entropy_with_logits has PyTorch's values") {
  const Tensor pos = ag::tensor({3.0, 1.0, 0.25});
  check_close(nn::binary_cross_entropy_with_logits(input(), halves()), {0.6248506895}, 1e-9);
  check_close(nn::binary_cross_entropy_with_logits(input(), halves(),
                                                   {.weight = class_weight(), .pos_weight = pos}),
              {0.5065788652}, 1e-9);
  check_close(nn::binary_cross_entropy_with_logits(
                  input(), halves(),
                  {.weight = class_weight(), .reduction = Reduction::none, .pos_weight = pos}),
              {0.7111154763, 0.5038581627, 1.079330007, 0.37219833, 0.09717470315, 0.2757965122},
              1e-9);
  // Large logits neither overflow nor lose the gradient.
  const Tensor far = ag::tensor({1000.0, -1000.0});
  check_close(nn::binary_cross_entropy_with_logits(far, ag::tensor({0.0, 1.0})), {1000});
  check_close(nn::binary_cross_entropy_with_logits(far, ag::tensor({1.0, 0.0})), {0});
  CHECK(slopes(
            [](const Tensor& x) {
              return nn::binary_cross_entropy_with_logits(x, ag::tensor({0.0, 1.0}),
                                                          {.reduction = Reduction::sum});
            },
            far) == std::vector<double>{1, -1});
  CHECK_THROWS_WITH(
      nn::binary_cross_entropy_with_logits(far, far, {.pos_weight = ag::ones({2})}),
      "binary_cross_entropy_with_logits: pos_weight must have the dtype of the input, got "
      "float32 for float64");
}

TEST_CASE("nll_loss has PyTorch's values with weights and ignored targets") {
  const Tensor logp = ag::log_softmax(input(), 1), c = ag::tensor({2, 0});
  check_close(nn::nll_loss(logp, c), {1.604674251}, 1e-9);
  check_close(nn::nll_loss(logp, c, {.weight = class_weight()}), {1.147323495}, 1e-9);
  check_close(nn::nll_loss(logp, c, {.weight = class_weight(), .reduction = Reduction::sum}),
              {1.720985243}, 1e-9);
  const Tensor ignored = ag::tensor({-100, 1});
  check_close(nn::nll_loss(logp, ignored, {.weight = class_weight()}), {0.07672651968}, 1e-9);
  check_close(nn::nll_loss(logp, ignored, {.weight = class_weight(), .reduction = Reduction::none}),
              {0, 0.1534530394}, 1e-9);
  check_close(nn::nll_loss(logp, ag::tensor({2, 1}), {.ignore_index = 2}), {0.07672651968}, 1e-9);
  CHECK(std::isnan(nn::nll_loss(logp, ag::tensor({-100, -100})).item()));
  // An ignored sample may hold anything.
  const double inf = std::numeric_limits<double>::infinity();
  check_close(nn::nll_loss(ag::tensor({{-inf, 0.0}, {-1.0, -2.0}}), ag::tensor({-100, 1})), {2});
}

TEST_CASE("nll_loss takes one sample, and samples with further axes") {
  const Tensor logp = ag::log_softmax(input(), 1), c = ag::tensor({2, 0});
  check_close(nn::nll_loss(ag::select(logp, 0, 0), ag::tensor(2)), {-logp.to_vector<double>()[2]});
  // (n, classes, d): the same numbers in another order.
  const Tensor wide = ag::unsqueeze(ag::transpose(logp), 0);
  const Tensor loss = nn::nll_loss(wide, ag::reshape(c, {1, 2}), {.reduction = Reduction::none});
  CHECK(loss.shape() == ag::Shape(1, 2));
  check_close(ag::mean(loss), {1.604674251}, 1e-9);
  CHECK(std::isnan(nn::nll_loss(ag::zeros({0, 3}), ag::zeros({0}, ag::int64)).item()));
  // The same as cross_entropy of the logits.
  check_close(nn::cross_entropy(input(), c, {.weight = class_weight()}), {1.147323495}, 1e-9);
}

TEST_CASE("nll_loss refuses targets that do not fit") {
  const Tensor logp = ag::zeros({2, 3});
  CHECK_THROWS_WITH(
      nn::nll_loss(logp, ag::tensor({0, 3})),
      "nll_loss: targets must be in [0, 2] (or ignore_index -100), got 3 at sample 1");
  CHECK_THROWS_WITH(
      nn::nll_loss(logp, ag::tensor({-1, 0})),
      "nll_loss: targets must be in [0, 2] (or ignore_index -100), got -1 at sample 0");
  CHECK_THROWS_WITH(
      nn::nll_loss(logp, ag::tensor({0, 1, 2})),
      "nll_loss: targets must have the shape of the input without the class axis, got "
      "(3,) for input (2, 3)");
  CHECK_THROWS_WITH(nn::nll_loss(logp, ag::zeros({2})),
                    "nll_loss: targets must be int64 classes, got float32; use targets.to(int64)");
  CHECK_THROWS_WITH(nn::nll_loss(logp, ag::tensor({0, 1}), {.weight = ag::ones({2})}),
                    "nll_loss: weight must have one factor per class, got (2,) for 3 classes");
  CHECK_THROWS_WITH(nn::nll_loss(ag::zeros({}), ag::tensor(0)),
                    "nll_loss: the input must have a class axis, got a 0-d tensor");
  CHECK_THROWS_WITH(nn::nll_loss(ag::zeros({2, 3}, ag::int64), ag::tensor({0, 1})),
                    "nll_loss: the input must be float32 or float64, got int64");
}

TEST_CASE("kl_div has PyTorch's values, also where the target is 0") {
  const Tensor logp = ag::log_softmax(input(), 1);
  const Tensor t = ag::tensor({{0.2, 0.0, 0.8}, {0.5, 0.25, 0.25}});
  check_close(nn::kl_div(logp, t), {0.2407042181}, 1e-9);
  check_close(nn::kl_div(logp, ag::log_softmax(target(), 1),
                         {.reduction = Reduction::sum, .log_target = true}),
              {0.5416543954}, 1e-9);
}

TEST_CASE("Losses have gradients to second order, in the target too") {
  const Tensor p = ag::tensor({0.2, 0.6, 0.9}), t = ag::tensor({0.3, 0.5, 0.8});
  const ag::TensorList pair{input(), target()};
  check_gradients(
      "mse", [](const Tensor& a, const Tensor& b) { return nn::mse_loss(a, b); }, pair);
  check_gradients(
      "huber",
      [](const Tensor& a, const Tensor& b) { return nn::huber_loss(a, b, {.delta = 0.7}); },
      {input(), target() + 0.05});
  check_gradients("smooth l1",
                  [](const Tensor& a, const Tensor& b) {
                    return nn::smooth_l1_loss(a, b, {.reduction = Reduction::none, .beta = 0.7});
                  },
                  {input(), target() + 0.05});
  check_gradients("bce",
                  [](const Tensor& a, const Tensor& b) { return nn::binary_cross_entropy(a, b); },
                  {p, t});
  check_gradients("bce with logits",
                  [](const Tensor& a, const Tensor& b) {
                    return nn::binary_cross_entropy_with_logits(a, b,
                                                                {.pos_weight = class_weight()});
                  },
                  {input(), halves()});
  check_gradients("nll",
                  [](const Tensor& a) {
                    return nn::nll_loss(a, ag::tensor({-100, 1}), {.weight = class_weight()});
                  },
                  {input()});
  check_gradients("kl", [](const Tensor& a, const Tensor& b) { return nn::kl_div(a, b); }, {p, t});
  check_gradients(
      "kl of logarithms",
      [](const Tensor& a, const Tensor& b) { return nn::kl_div(a, b, {.log_target = true}); },
      {p, t});
}

TEST_CASE("Losses refuse pairs that would broadcast or differ in dtype") {
  const Tensor column = ag::zeros({4, 1}), row = ag::zeros({4});
  CHECK_THROWS_WITH(
      nn::mse_loss(column, row),
      "mse_loss: input and target must have one shape, got (4, 1) and (4,); reshape one "
      "of them");
  CHECK_THROWS_WITH(nn::l1_loss(column, ag::zeros({3, 1})),
                    "l1_loss: input and target must have one shape, got (4, 1) and (3, 1)");
  CHECK_THROWS_WITH(
      nn::huber_loss(row, ag::arange(4)),
      "huber_loss: input and target must have one dtype, got float32 and int64; convert "
      "the target with .to(float32)");
  CHECK_THROWS_WITH(nn::mse_loss(ag::arange(4), ag::arange(4)),
                    "mse_loss: the input must be float32 or float64, got int64");
  CHECK_THROWS_AS(nn::smooth_l1_loss(column, row), ag::Error);
  CHECK_THROWS_AS(nn::binary_cross_entropy(column, row), ag::Error);
  CHECK_THROWS_AS(nn::binary_cross_entropy_with_logits(column, row), ag::Error);
  CHECK_THROWS_AS(nn::kl_div(column, row), ag::Error);
  CHECK_THROWS_WITH(nn::huber_loss(row, row, {.delta = 0}),
                    "huber_loss: delta must be above 0, got 0");
  CHECK_THROWS_WITH(nn::smooth_l1_loss(row, row, {.beta = -1}),
                    "smooth_l1_loss: beta must be at least 0, got -1");
}

TEST_CASE("classes in the form of a table's column are refused with what makes them classes") {
  const ag::Tensor logits = ag::zeros({2, 3}), column = ag::zeros({2, 1}), row = ag::zeros({2});
  const std::string squeeze = "; if they are classes, use squeeze(targets, 1)";
  CHECK_THROWS_WITH(nn::cross_entropy(logits, column),
                    "cross_entropy: probabilities as targets must have the shape of the logits, "
                    "got (2, 1) and (2, 3)" +
                        squeeze + ".to(int64)");
  CHECK_THROWS_WITH(
      nn::cross_entropy(logits, row),
      Catch::Matchers::ContainsSubstring("; if they are classes, use targets.to(int64)"));
  CHECK_THROWS_WITH(nn::cross_entropy(logits, column.to(ag::int64)),
                    "cross_entropy: targets must have the shape of the logits without the class "
                    "axis, got (2, 1) for logits (2, 3)" +
                        squeeze);
  CHECK_THROWS_WITH(
      nn::nll_loss(logits, column),
      Catch::Matchers::ContainsSubstring("got float32; use squeeze(targets, 1).to(int64)"));
  CHECK_THROWS_WITH(
      nn::nll_loss(logits, column.to(ag::int64)),
      Catch::Matchers::ContainsSubstring("for input (2, 3); use squeeze(targets, 1)"));
  CHECK(nn::cross_entropy(logits, ag::squeeze(column, 1).to(ag::int64)).item() ==
        Catch::Approx(std::log(3.0)));
}

TEST_CASE("Losses have the written second derivative where a formula branches") {
  using V = std::vector<double>;
  const auto check = [](const char* text, V at, double value, V first, V second, auto loss) {
    CHECK(table::mismatch({text, at, loss, value, first, second}) == "");
  };
  const auto sums = Reduction::sum;
  // Of the input and the target, at the residual 0.
  const V bowl{1, -1, -1, 1};
  check("huber_loss", {2, 2}, 0, {0, 0}, bowl,
        [](const Tensor& x) { return nn::huber_loss(x[0], x[1]); });
  check("huber_loss, delta 3", {2, 2}, 0, {0, 0}, bowl,
        [](const Tensor& x) { return nn::huber_loss(x[0], x[1], {.delta = 3}); });
  check("smooth_l1_loss", {2, 2}, 0, {0, 0}, bowl,
        [](const Tensor& x) { return nn::smooth_l1_loss(x[0], x[1]); });
  check("smooth_l1_loss, beta ½", {2, 2}, 0, {0, 0}, {2, -2, -2, 2},
        [](const Tensor& x) { return nn::smooth_l1_loss(x[0], x[1], {.beta = 0.5}); });
  check("l1_loss", {2, 2}, 0, {0, 0}, V(4, 0),
        [](const Tensor& x) { return nn::l1_loss(x[0], x[1]); });
  check("mse_loss", {2, 2}, 0, {0, 0}, {2, -2, -2, 2},
        [](const Tensor& x) { return nn::mse_loss(x[0], x[1]); });
  // One of two residuals is 0, and one at the kink: reductions scale.
  const auto zeros = [](const Tensor& x) { return ag::zeros_like(x); };
  check("huber_loss, mean", {0, 1}, 0.25, {0, 0.5}, {0.5, 0, 0, 0.5},
        [=](const Tensor& x) { return nn::huber_loss(x, zeros(x)); });
  check("smooth_l1_loss, sum", {0, -2}, 1.75, {0, -1}, {2, 0, 0, 0}, [=](const Tensor& x) {
    return nn::smooth_l1_loss(x, zeros(x), {.reduction = sums, .beta = 0.5});
  });
  const double log2 = std::log(2);
  check("binary_cross_entropy_with_logits", {0, 0.25}, log2, {0.25, 0}, {0.25, -1, -1, 0},
        [](const Tensor& x) { return nn::binary_cross_entropy_with_logits(x[0], x[1]); });
  check("binary_cross_entropy_with_logits, pos_weight", {0}, 3 * log2, {-1.5}, {0.75},
        [](const Tensor& x) {
          return nn::binary_cross_entropy_with_logits(x, ag::ones_like(x),
                                                      {.pos_weight = ag::full({}, 3, x.dtype())});
        });
  check("binary_cross_entropy", {0.5, 0.5}, log2, {0, 0}, {4, -4, -4, 0},
        [](const Tensor& x) { return nn::binary_cross_entropy(x[0], x[1]); });
}

TEST_CASE("The huber loss of far residuals stays finite, and so does its gradient") {
  const Tensor t = ag::zeros({3}, ag::float32);
  const Tensor x = ag::tensor({-3e38, 1e30, HUGE_VAL}).to(ag::float32).detach().requires_grad_();
  const Tensor y = nn::huber_loss(x, t, {.reduction = Reduction::none});
  check_close(ag::select(y, 0, 1), {1e30}, 1e-6);
  CHECK(ag::sum(ag::isfinite(y)).item() == 2);
  check_close(ag::grad({ag::sum(y)}, {x})[0], {-1, 1, 1});
  // A tiny beta does not underflow.
  const Tensor z = ag::full({}, 1, ag::float32);
  check_close(nn::smooth_l1_loss(z, ag::zeros_like(z), {.beta = 1e-30}), {1});
}
