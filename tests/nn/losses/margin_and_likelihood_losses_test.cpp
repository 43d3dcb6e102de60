#include <cmath>

#include "autograd/compile.hpp"
#include "autograd/core/random.hpp"
#include "autograd/gradcheck.hpp"
#include "nn/losses/ctc_loss.hpp"
#include "nn/losses/likelihood_losses.hpp"
#include "nn/losses/margin_losses.hpp"
#include "tests/nn/close.hpp"

namespace ag = autograd;
using ag::Tensor;
using Catch::Matchers::ContainsSubstring;
using nn::Reduction;

namespace {

template <class F>
void check_second(const char* what, F f, const ag::TensorList& in) {
  const auto check = ag::gradgradcheck(f, in);
  INFO(what << ": " << check.report());
  CHECK(check);
}

Tensor scores() { return ag::tensor({{0.3, -1.2, 2.1}, {0.9, 0.25, -0.6}}); }
Tensor counts() { return ag::tensor({{0.5, 2.0, 1.5}, {3.0, 0.25, 1.0}}); }

}  // namespace

TEST_CASE("losses with margins and likelihoods pass gradcheck to second order") {
  const Tensor signs = ag::tensor({{1, -1, 1}, {-1, -1, 1}}), rows = ag::tensor({1, -1});
  check_second("cosine_embedding_loss",
               [=](const Tensor& a, const Tensor& b) {
                 return nn::cosine_embedding_loss(a, b, rows, {.margin = -0.9});
               },
               {scores(), counts()});
  check_second("soft_margin_loss", [=](const Tensor& x) { return nn::soft_margin_loss(x, signs); },
               {scores()});
  check_second("triplet_margin_loss",
               [](const Tensor& a, const Tensor& p) {
                 return nn::triplet_margin_loss(a, p, counts(), {.margin = 9, .p = 3});
               },
               {scores(), 2 * scores() + 0.3});
  check_second("multi_margin_loss",
               [](const Tensor& x) {
                 return nn::multi_margin_loss(x, ag::tensor({2, 1}), {.p = 2, .margin = 4.1});
               },
               {scores()});
  check_second(
      "poisson_nll_loss",
      [](const Tensor& x, const Tensor& t) { return nn::poisson_nll_loss(x, t, {.full = true}); },
      {scores(), counts() + 0.01});
  check_second("gaussian_nll_loss",
               [](const Tensor& x, const Tensor& v) {
                 return nn::gaussian_nll_loss(x, 2 * scores(), v, {.full = true});
               },
               {scores(), counts()});
  check_second(
      "sigmoid_focal_loss",
      [](const Tensor& x, const Tensor& t) { return nn::sigmoid_focal_loss(x, t, {.gamma = 1.5}); },
      {scores(), ag::sigmoid(scores() + 1)});
}

TEST_CASE("losses take empty batches, and a sum of none is 0") {
  const Tensor none = ag::zeros({0, 3}), labels = ag::zeros({0}, ag::int64);
  const auto sum = Reduction::sum;
  CHECK(nn::multi_margin_loss(none, labels, {.reduction = sum}).item() == 0);
  CHECK(nn::multilabel_margin_loss(none, ag::zeros({0, 3}, ag::int64), {sum}).item() == 0);
  CHECK(nn::triplet_margin_loss(none, none, none, {.reduction = sum}).item() == 0);
  CHECK(nn::cosine_embedding_loss(none, none, labels, {.reduction = sum}).item() == 0);
  CHECK(nn::gaussian_nll_loss(none, none, none, {.reduction = sum}).item() == 0);
  CHECK(std::isnan(nn::soft_margin_loss(none, none).item()));
  const Tensor steps = ag::zeros({4, 0, 3});
  CHECK(nn::ctc_loss(steps, labels, labels, labels, {.reduction = sum}).item() == 0);
}

TEST_CASE("the focal loss keeps its digits where a class is certain") {
  const Tensor x = ag::tensor({40.0}), t = ag::tensor({1.0});
  const double missed = std::exp(-40.0);
  CHECK(nn::sigmoid_focal_loss(x, t, {.alpha = -1}).item() ==
        Catch::Approx(missed * missed * missed).epsilon(1e-9));
}

TEST_CASE("ctc_loss of targets that do not fit is infinite, or 0 if told so") {
  const Tensor x = ag::log_softmax(ag::zeros({2, 1, 3}, ag::float64));
  const Tensor leaf = x.detach().requires_grad_();
  const Tensor target = ag::tensor({{1, 1}}), two = ag::tensor({2});
  const Tensor loss = nn::ctc_loss(leaf, target, two, two);
  CHECK(std::isinf(loss.item()));
  loss.backward();
  CHECK(std::isnan(ag::sum(leaf.grad()).item()));
  const Tensor other = x.detach().requires_grad_();
  const Tensor zero = nn::ctc_loss(other, target, two, two, {.zero_infinity = true});
  CHECK(zero.item() == 0);
  zero.backward();
  CHECK(ag::all(other.grad() == 0).item() != 0);
}

TEST_CASE("the gradient of ctc_loss adds up to -1 at each step, and float32 follows float64") {
  ag::manual_seed(5);
  const Tensor x = ag::log_softmax(ag::randn({50, 3, 20}, ag::float64)).detach();
  const Tensor target = ag::randint(1, 20, {3, 15}), steps = ag::tensor({50, 40, 31});
  const Tensor lengths = ag::tensor({15, 3, 0});
  const Tensor leaf = x.clone().requires_grad_(), single = x.to(ag::float32).requires_grad_();
  nn::ctc_loss(leaf, target, steps, lengths, {.reduction = Reduction::sum}).backward();
  const Tensor loss = nn::ctc_loss(single, target, steps, lengths, {.reduction = Reduction::sum});
  loss.backward();
  const Tensor used = ag::unsqueeze(ag::arange(50), 1) < ag::unsqueeze(steps, 0);
  CHECK(ag::max(ag::abs(ag::sum(leaf.grad(), -1) + used.to(ag::float64))).item() < 1e-9);
  CHECK(ag::max(ag::abs(single.grad().to(ag::float64) - leaf.grad())).item() < 1e-4);
}

TEST_CASE("losses check their targets in replays too, ctc_loss and variances among them") {
  const Tensor x = ag::log_softmax(ag::zeros({3, 1, 3}));
  auto ctc = ag::compile([](const Tensor& p, const Tensor& t, const Tensor& i, const Tensor& n) {
    return nn::ctc_loss(p, t, i, n);
  });
  const Tensor three = ag::tensor({3}), one = ag::tensor({1});
  CHECK(ctc(x, ag::tensor({{1}}), three, one).item() ==
        nn::ctc_loss(x, ag::tensor({{1}}), three, one).item());
  CHECK_THROWS_WITH(ctc(x, ag::tensor({{0}}), three, one), ContainsSubstring("not the blank 0"));
  CHECK_THROWS_WITH(ctc(x, ag::tensor({{1}}), ag::tensor({4}), one),
                    ContainsSubstring("input lengths must be in [0, 3]"));
  auto gaussian =
      ag::compile([](const Tensor& a, const Tensor& v) { return nn::gaussian_nll_loss(a, a, v); });
  gaussian(ag::ones({2}), ag::ones({2}));
  CHECK_THROWS_WITH(gaussian(ag::ones({2}), -ag::ones({2})),
                    ContainsSubstring("var must be at least 0, got -1 at element 0"));
  auto margin =
      ag::compile([](const Tensor& a, const Tensor& t) { return nn::multi_margin_loss(a, t); });
  margin(ag::ones({2, 3}), ag::tensor({0, 1}));
  CHECK_THROWS_WITH(margin(ag::ones({2, 3}), ag::tensor({0, 3})),
                    ContainsSubstring("targets must be in [0, 2], got 3 at element 1"));
}

TEST_CASE("losses with margins and likelihoods refuse what does not fit") {
  const Tensor x = ag::ones({2, 3});
  CHECK_THROWS_WITH(nn::margin_ranking_loss(x, x, ag::ones({2})),
                    "margin_ranking_loss: targets must have the shape (2, 3), got (2,)");
  CHECK_THROWS_WITH(nn::hinge_embedding_loss(x, x.to(ag::float64)),
                    "hinge_embedding_loss: targets must be int64 or float32, got float64");
  CHECK_THROWS_WITH(nn::cosine_embedding_loss(ag::ones({1, 2, 3}), ag::ones({1, 2, 3}), x),
                    "cosine_embedding_loss: needs vectors (n, d) or (d), got shape (1, 2, 3)");
  CHECK_THROWS_WITH(nn::triplet_margin_loss(x, x, x, {.margin = 0}),
                    "triplet_margin_loss: margin must be above 0, got 0");
  CHECK_THROWS_WITH(nn::multi_margin_loss(x, ag::tensor({0, 1}), {.p = 3}),
                    "multi_margin_loss: p must be 1 or 2, got 3");
  CHECK_THROWS_WITH(nn::multi_margin_loss(x, ag::tensor({0, 1}), {.weight = ag::ones({2})}),
                    "multi_margin_loss: weight must be float32 with one factor per class, got "
                    "float32 (2,) for 3 classes");
  CHECK_THROWS_WITH(nn::multilabel_margin_loss(x, ag::ones({2, 3})),
                    "multilabel_margin_loss: targets must be int64, got float32");
  CHECK_THROWS_WITH(nn::gaussian_nll_loss(x, x, ag::ones({3})),
                    "gaussian_nll_loss: var must have the shape of the input, or a last size of 1, "
                    "got (3,) for (2, 3)");
  CHECK_THROWS_WITH(nn::gaussian_nll_loss(x, x, x, {.eps = 0}),
                    "gaussian_nll_loss: eps must be above 0, got 0");
  CHECK_THROWS_WITH(nn::sigmoid_focal_loss(x, x, {.gamma = -1}),
                    "sigmoid_focal_loss: gamma must be at least 0, got -1");
}

TEST_CASE("the focal loss has gradients where a class is certain, for any gamma") {
  for (const double gamma : {0.5, 1.5})
    for (const auto dtype : {ag::float32, ag::float64}) {
      const Tensor x = ag::tensor({-900.0, -110.0, 110.0, 900.0}).to(dtype).requires_grad_();
      const Tensor t = ag::tensor({0.0, 0.0, 1.0, 1.0}).to(dtype);
      ag::sum(nn::sigmoid_focal_loss(x, t, {.gamma = gamma})).backward();
      check_close(x.grad(), {0, 0, 0, 0});
    }
}
