#include <cmath>

#include "autograd/ops/neural/ctc_loss.hpp"
#include "nn/losses/likelihood_losses.hpp"
#include "nn/losses/margin_losses.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;
using nn::Reduction;

/// By all reductions.
template <class F>
TensorList thrice(const F& f) {
  return {f(Reduction::mean), f(Reduction::sum), f(Reduction::none)};
}

std::vector<Row> margins() {
  return {
      {"margin_ranking_loss margin=0.5",
       [](T a, T b, T t) {
         return thrice([&](auto how) { return nn::margin_ranking_loss(a, b, t, {0.5, how}); });
       }},
      {"cosine_embedding_loss margin=0.2",
       [](T a, T b, T t) {
         return thrice([&](auto how) { return nn::cosine_embedding_loss(a, b, t, {0.2, how}); });
       }},
      {"hinge_embedding_loss margin=0.7",
       [](T x, T t) {
         return thrice([&](auto how) { return nn::hinge_embedding_loss(x, t, {0.7, how}); });
       }},
      {"triplet_margin_loss",
       [](T a, T p, T n) {
         return thrice(
             [&](auto how) { return nn::triplet_margin_loss(a, p, n, {.reduction = how}); });
       }},
      {"multi_margin_loss",
       [](T x, T t) {
         return thrice([&](auto how) { return nn::multi_margin_loss(x, t, {.reduction = how}); });
       }},
      {"multi_margin_loss p=2 weight",
       [](T x, T t, T w) {
         return thrice([&](auto how) { return nn::multi_margin_loss(x, t, {2, 0.7, w, how}); });
       }},
      {"multilabel_margin_loss",
       [](T x, T t) {
         return thrice([&](auto how) { return nn::multilabel_margin_loss(x, t, {how}); });
       }},
      {"soft_margin_loss",
       [](T x, T t) {
         return thrice([&](auto how) { return nn::soft_margin_loss(x, t, {how}); });
       }},
      {"multilabel_soft_margin_loss",
       [](T x, T t, T w) {
         return thrice([&](auto how) { return nn::multilabel_soft_margin_loss(x, t, {w, how}); });
       }},
  };
}

std::vector<Row> likelihoods() {
  return {
      {"poisson_nll_loss",
       [](T x, T t) {
         return thrice([&](auto how) { return nn::poisson_nll_loss(x, t, {.reduction = how}); });
       }},
      {"gaussian_nll_loss",
       [](T x, T t, T v) {
         return thrice(
             [&](auto how) { return nn::gaussian_nll_loss(x, t, v, {.reduction = how}); });
       }},
      {"sigmoid_focal_loss",
       [](T x, T t) {
         return thrice([&](auto how) { return nn::sigmoid_focal_loss(x, t, {.reduction = how}); });
       }},
  };
}

std::vector<Row> alignments() {
  const ag::CTCLossOptions last{.blank = 3, .zero_infinity = true};
  const auto ctc = [](T x, T t, T i, T n, ag::CTCLossOptions options) {
    return thrice([&](auto how) {
      options.reduction = how;
      return ag::ctc_loss(ag::log_softmax(x), t, i, n, options);
    });
  };
  return {
      {"ctc_loss", [=](T x, T t, T i, T n) { return ctc(x, t, i, n, {}); }},
      {"ctc_loss blank=3 zero_infinity", [=](T x, T t, T i, T n) { return ctc(x, t, i, n, last); }},
      {"ctc_loss one sample",
       [](T x, T t, T i, T n) { return ag::ctc_loss(ag::log_softmax(x), t, i, n); }},
  };
}

std::vector<Row> single() {
  const nn::TripletMarginLossOptions swap{.margin = 3, .p = 1, .swap = true};
  return {
      {"margin_ranking_loss met", [](T a, T b, T t) { return nn::margin_ranking_loss(a, b, t); }},
      {"hinge_embedding_loss met", [](T x, T t) { return nn::hinge_embedding_loss(x, t); }},
      {"cosine_embedding_loss zero",
       [](T a, T b, T t) { return nn::cosine_embedding_loss(a, b, t); }},
      {"triplet_margin_loss p=1 swap",
       [=](T a, T p, T n) { return nn::triplet_margin_loss(a, p, n, swap); }},
      {"triplet_margin_loss eps=0 equal",
       [](T a, T p, T n) { return nn::triplet_margin_loss(a, p, n, {.margin = 9, .eps = 0}); }},
      {"multi_margin_loss met", [](T x, T t) { return nn::multi_margin_loss(x, t); }},
      {"poisson_nll_loss full",
       [](T x, T t) { return nn::poisson_nll_loss(x, t, {.full = true}); }},
      {"poisson_nll_loss log_input=false",
       [](T x, T t) { return nn::poisson_nll_loss(x, t, {.log_input = false, .eps = 1e-3}); }},
      {"gaussian_nll_loss full eps=0.5",
       [](T x, T t, T v) { return nn::gaussian_nll_loss(x, t, v, {.full = true, .eps = 0.5}); }},
      {"sigmoid_focal_loss alpha=-1 gamma=1.5",
       [](T x, T t) { return nn::sigmoid_focal_loss(x, t, {.alpha = -1, .gamma = 1.5}); }},
      {"sigmoid_focal_loss gamma=0",
       [](T x, T t) { return nn::sigmoid_focal_loss(x, t, {.alpha = 0.7, .gamma = 0}); }},
  };
}

}  // namespace

namespace oracle {

void add_more_losses(std::vector<Row>& rows) {
  for (const auto& table : {margins(), likelihoods(), alignments(), single()})
    rows.insert(rows.end(), table.begin(), table.end());
}

const Cases more_losses_cases(add_more_losses);

}  // namespace oracle
