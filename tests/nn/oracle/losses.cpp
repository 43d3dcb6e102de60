#include "nn/losses/losses.hpp"

#include "tests/nn/oracle/oracle.hpp"

using nn::Reduction;

namespace oracle {

// Fused operations and losses.
void add_losses(std::vector<Row>& rows) {
  const std::vector<Row> table{
      {"softmax", [](T x) { return ag::softmax(x); }},
      {"softmax axis=0", [](T x) { return ag::softmax(x, 0); }},
      {"softmax axis=1", [](T x) { return ag::softmax(x, 1); }},
      {"log_softmax", [](T x) { return ag::log_softmax(x); }},
      {"log_softmax axis=0", [](T x) { return ag::log_softmax(x, 0); }},
      {"log_softmax axis=1", [](T x) { return ag::log_softmax(x, 1); }},
      {"layer_norm", [](T x) { return ag::layer_norm(x, {x.size(-1)}); }},
      {"layer_norm affine", [](T x, T w, T b) { return ag::layer_norm(x, w.shape(), w, b); }},
      {"layer_norm eps=0.1", [](T x, T w) { return ag::layer_norm(x, w.shape(), w, {}, 0.1); }},
      {"cross_entropy", [](T x, T t) { return nn::cross_entropy(x, t); }},
      {"cross_entropy weight smoothing=0.2",
       [](T x, T t, T w) {
         return nn::cross_entropy(x, t, {.weight = w, .label_smoothing = 0.2});
       }},
      {"cross_entropy weight",
       [](T x, T t, T w) { return nn::cross_entropy(x, t, {.weight = w}); }},
      {"cross_entropy smoothing=0.1",
       [](T x, T t) { return nn::cross_entropy(x, t, {.label_smoothing = 0.1}); }},
      {"cross_entropy probabilities", [](T x, T t) { return nn::cross_entropy(x, t); }},
      {"cross_entropy probabilities weight smoothing=0.1",
       [](T x, T t, T w) {
         return nn::cross_entropy(x, t, {.weight = w, .label_smoothing = 0.1});
       }},
      {"nll_loss", [](T x, T t) { return nn::nll_loss(x, t); }},
      {"nll_loss weight ignore_index=1",
       [](T x, T t, T w) { return nn::nll_loss(x, t, {.weight = w, .ignore_index = 1}); }},
      {"mse_loss", [](T x, T t) { return nn::mse_loss(x, t); }},
      {"l1_loss", [](T x, T t) { return nn::l1_loss(x, t); }},
      {"huber_loss", [](T x, T t) { return nn::huber_loss(x, t); }},
      {"smooth_l1_loss", [](T x, T t) { return nn::smooth_l1_loss(x, t); }},
      {"huber_loss delta=0.5", [](T x, T t) { return nn::huber_loss(x, t, {.delta = 0.5}); }},
      {"smooth_l1_loss beta=0.5", [](T x, T t) { return nn::smooth_l1_loss(x, t, {.beta = 0.5}); }},
      {"binary_cross_entropy", [](T x, T t) { return nn::binary_cross_entropy(x, t); }},
      {"binary_cross_entropy weight",
       [](T x, T t, T w) { return nn::binary_cross_entropy(x, t, {.weight = w}); }},
      {"binary_cross_entropy_with_logits",
       [](T x, T t) { return nn::binary_cross_entropy_with_logits(x, t); }},
      {"binary_cross_entropy_with_logits weight pos_weight",
       [](T x, T t, T w, T p) {
         return nn::binary_cross_entropy_with_logits(x, t, {.weight = w, .pos_weight = p});
       }},
      {"kl_div", [](T x, T t) { return nn::kl_div(x, t); }},
      {"kl_div log_target", [](T x, T t) { return nn::kl_div(x, t, {.log_target = true}); }},
      {"cross_entropy reduction=sum",
       [](T x, T t) { return nn::cross_entropy(x, t, {.reduction = Reduction::sum}); }},
      {"cross_entropy weight smoothing=0.2 reduction=sum",
       [](T x, T t, T w) {
         return nn::cross_entropy(
             x, t, {.weight = w, .reduction = Reduction::sum, .label_smoothing = 0.2});
       }},
      {"cross_entropy weight reduction=sum",
       [](T x, T t, T w) {
         return nn::cross_entropy(x, t, {.weight = w, .reduction = Reduction::sum});
       }},
      {"cross_entropy smoothing=0.1 reduction=sum",
       [](T x, T t) {
         return nn::cross_entropy(x, t, {.reduction = Reduction::sum, .label_smoothing = 0.1});
       }},
      {"cross_entropy probabilities reduction=sum",
       [](T x, T t) { return nn::cross_entropy(x, t, {.reduction = Reduction::sum}); }},
      {"cross_entropy probabilities weight smoothing=0.1 reduction=sum",
       [](T x, T t, T w) {
         return nn::cross_entropy(
             x, t, {.weight = w, .reduction = Reduction::sum, .label_smoothing = 0.1});
       }},
      {"nll_loss reduction=sum",
       [](T x, T t) { return nn::nll_loss(x, t, {.reduction = Reduction::sum}); }},
      {"nll_loss weight ignore_index=1 reduction=sum",
       [](T x, T t, T w) {
         return nn::nll_loss(x, t, {.weight = w, .reduction = Reduction::sum, .ignore_index = 1});
       }},
      {"mse_loss reduction=sum",
       [](T x, T t) { return nn::mse_loss(x, t, {.reduction = Reduction::sum}); }},
      {"l1_loss reduction=sum",
       [](T x, T t) { return nn::l1_loss(x, t, {.reduction = Reduction::sum}); }},
      {"huber_loss reduction=sum",
       [](T x, T t) { return nn::huber_loss(x, t, {.reduction = Reduction::sum}); }},
      {"smooth_l1_loss reduction=sum",
       [](T x, T t) { return nn::smooth_l1_loss(x, t, {.reduction = Reduction::sum}); }},
      {"huber_loss delta=0.5 reduction=sum",
       [](T x, T t) { return nn::huber_loss(x, t, {.reduction = Reduction::sum, .delta = 0.5}); }},
      {"smooth_l1_loss beta=0.5 reduction=sum",
       [](T x, T t) {
         return nn::smooth_l1_loss(x, t, {.reduction = Reduction::sum, .beta = 0.5});
       }},
      {"binary_cross_entropy reduction=sum",
       [](T x, T t) { return nn::binary_cross_entropy(x, t, {.reduction = Reduction::sum}); }},
      {"binary_cross_entropy weight reduction=sum",
       [](T x, T t, T w) {
         return nn::binary_cross_entropy(x, t, {.weight = w, .reduction = Reduction::sum});
       }},
      {"binary_cross_entropy_with_logits reduction=sum",
       [](T x, T t) {
         return nn::binary_cross_entropy_with_logits(x, t, {.reduction = Reduction::sum});
       }},
      {"binary_cross_entropy_with_logits weight pos_weight reduction=sum",
       [](T x, T t, T w, T p) {
         return nn::binary_cross_entropy_with_logits(
             x, t, {.weight = w, .reduction = Reduction::sum, .pos_weight = p});
       }},
      {"kl_div reduction=sum",
       [](T x, T t) { return nn::kl_div(x, t, {.reduction = Reduction::sum}); }},
      {"kl_div log_target reduction=sum",
       [](T x, T t) {
         return nn::kl_div(x, t, {.reduction = Reduction::sum, .log_target = true});
       }},
      {"cross_entropy reduction=none",
       [](T x, T t) { return nn::cross_entropy(x, t, {.reduction = Reduction::none}); }},
      {"cross_entropy weight smoothing=0.2 reduction=none",
       [](T x, T t, T w) {
         return nn::cross_entropy(
             x, t, {.weight = w, .reduction = Reduction::none, .label_smoothing = 0.2});
       }},
      {"cross_entropy weight reduction=none",
       [](T x, T t, T w) {
         return nn::cross_entropy(x, t, {.weight = w, .reduction = Reduction::none});
       }},
      {"cross_entropy smoothing=0.1 reduction=none",
       [](T x, T t) {
         return nn::cross_entropy(x, t, {.reduction = Reduction::none, .label_smoothing = 0.1});
       }},
      {"cross_entropy probabilities reduction=none",
       [](T x, T t) { return nn::cross_entropy(x, t, {.reduction = Reduction::none}); }},
      {"cross_entropy probabilities weight smoothing=0.1 reduction=none",
       [](T x, T t, T w) {
         return nn::cross_entropy(
             x, t, {.weight = w, .reduction = Reduction::none, .label_smoothing = 0.1});
       }},
      {"nll_loss reduction=none",
       [](T x, T t) { return nn::nll_loss(x, t, {.reduction = Reduction::none}); }},
      {"nll_loss weight ignore_index=1 reduction=none",
       [](T x, T t, T w) {
         return nn::nll_loss(x, t, {.weight = w, .reduction = Reduction::none, .ignore_index = 1});
       }},
      {"mse_loss reduction=none",
       [](T x, T t) { return nn::mse_loss(x, t, {.reduction = Reduction::none}); }},
      {"l1_loss reduction=none",
       [](T x, T t) { return nn::l1_loss(x, t, {.reduction = Reduction::none}); }},
      {"huber_loss reduction=none",
       [](T x, T t) { return nn::huber_loss(x, t, {.reduction = Reduction::none}); }},
      {"smooth_l1_loss reduction=none",
       [](T x, T t) { return nn::smooth_l1_loss(x, t, {.reduction = Reduction::none}); }},
      {"huber_loss delta=0.5 reduction=none",
       [](T x, T t) { return nn::huber_loss(x, t, {.reduction = Reduction::none, .delta = 0.5}); }},
      {"smooth_l1_loss beta=0.5 reduction=none",
       [](T x, T t) {
         return nn::smooth_l1_loss(x, t, {.reduction = Reduction::none, .beta = 0.5});
       }},
      {"binary_cross_entropy reduction=none",
       [](T x, T t) { return nn::binary_cross_entropy(x, t, {.reduction = Reduction::none}); }},
      {"binary_cross_entropy weight reduction=none",
       [](T x, T t, T w) {
         return nn::binary_cross_entropy(x, t, {.weight = w, .reduction = Reduction::none});
       }},
      {"binary_cross_entropy_with_logits reduction=none",
       [](T x, T t) {
         return nn::binary_cross_entropy_with_logits(x, t, {.reduction = Reduction::none});
       }},
      {"binary_cross_entropy_with_logits weight pos_weight reduction=none",
       [](T x, T t, T w, T p) {
         return nn::binary_cross_entropy_with_logits(
             x, t, {.weight = w, .reduction = Reduction::none, .pos_weight = p});
       }},
      {"kl_div reduction=none",
       [](T x, T t) { return nn::kl_div(x, t, {.reduction = Reduction::none}); }},
      {"kl_div log_target reduction=none",
       [](T x, T t) {
         return nn::kl_div(x, t, {.reduction = Reduction::none, .log_target = true});
       }},
      {"cross_entropy ignore_index=2",
       [](T x, T t) { return nn::cross_entropy(x, t, {.ignore_index = 2}); }},
      {"cross_entropy all ignored", [](T x, T t) { return nn::cross_entropy(x, t); }},
      {"mse_loss equal", [](T x, T t) { return nn::mse_loss(x, t); }},
      {"l1_loss equal", [](T x, T t) { return nn::l1_loss(x, t); }},
      {"huber_loss at delta", [](T x, T t) { return nn::huber_loss(x, t); }},
      {"binary_cross_entropy certain", [](T x, T t) { return nn::binary_cross_entropy(x, t); }},
      {"binary_cross_entropy_with_logits large",
       [](T x, T t) { return nn::binary_cross_entropy_with_logits(x, t); }},
      {"kl_div zero target", [](T x, T t) { return nn::kl_div(x, t); }},
      {"smooth_l1_loss beta=0", [](T x, T t) { return nn::smooth_l1_loss(x, t, {.beta = 0}); }},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases losses_cases(add_losses);

}  // namespace oracle
