#pragma once

#include "nn/losses/losses.hpp"

#pragma GCC visibility push(default)

/// Losses that ask for a margin between scores or distances. Where a margin is just met, the
/// gradient is 0. Targets that are signs are 1 and -1, int64 or of the dtype of the input.
namespace nn {

struct MarginLossOptions {
  double margin = 0;
  Reduction reduction = Reduction::mean;
};
/// max(0, -target (input1 - input2) + margin): target 1 asks for input1 to be larger, -1 for
/// input2. All of one shape.
ag::Tensor margin_ranking_loss(const ag::Tensor& input1, const ag::Tensor& input2,
                               const ag::Tensor& target, const MarginLossOptions& options = {});

/// 1 - cos(input1, input2) where the target is 1, max(0, cos - margin) where it is -1, for vectors
/// (n, d) or (d) and targets (n) or ().
ag::Tensor cosine_embedding_loss(const ag::Tensor& input1, const ag::Tensor& input2,
                                 const ag::Tensor& target, const MarginLossOptions& options = {});

struct HingeEmbeddingLossOptions {
  double margin = 1;
  Reduction reduction = Reduction::mean;
};
/// The input, a distance, where the target is 1, and max(0, margin - input) where it is -1.
ag::Tensor hinge_embedding_loss(const ag::Tensor& input, const ag::Tensor& target,
                                const HingeEmbeddingLossOptions& options = {});

struct TripletMarginLossOptions {
  double margin = 1;  ///< above 0
  double p = 2;       ///< of the distance
  double eps = 1e-6;  ///< added to each difference
  bool swap = false;  ///< take the distance of positive and negative where it is smaller
  Reduction reduction = Reduction::mean;
};
/// max(0, d(anchor, positive) - d(anchor, negative) + margin) for vectors (n, d) or (d), with the
/// p-norm of their difference as d (Balntas 2016).
ag::Tensor triplet_margin_loss(const ag::Tensor& anchor, const ag::Tensor& positive,
                               const ag::Tensor& negative,
                               const TripletMarginLossOptions& options = {});

struct MultiMarginLossOptions {
  int p = 1;  ///< 1 or 2
  double margin = 1;
  ag::Tensor weight{};  ///< (classes): a factor per class of the target
  Reduction reduction = Reduction::mean;
};
/// The mean over the classes j of weight[target] max(0, margin - input[target] + input[j])^p, but
/// for the target's, of scores (n, classes) or (classes) and classes int64 (n) or ().
ag::Tensor multi_margin_loss(const ag::Tensor& input, const ag::Tensor& target,
                             const MultiMarginLossOptions& options = {});

/// Σ max(0, 1 - input[k] + input[j]) / classes over the classes k of the target and j not of it.
/// Scores (n, classes) or (classes); targets int64 of that shape, in each row the classes and then
/// -1. Takes n · classes² elements of memory.
ag::Tensor multilabel_margin_loss(const ag::Tensor& input, const ag::Tensor& target,
                                  const LossOptions& options = {});

/// log(1 + exp(-target · input)).
ag::Tensor soft_margin_loss(const ag::Tensor& input, const ag::Tensor& target,
                            const LossOptions& options = {});

struct MultilabelSoftMarginLossOptions {
  ag::Tensor weight{};  ///< a factor per class; broadcasts to the input
  Reduction reduction = Reduction::mean;
};
/// binary_cross_entropy_with_logits, its mean over the classes, which are the last axis.
ag::Tensor multilabel_soft_margin_loss(const ag::Tensor& input, const ag::Tensor& target,
                                       const MultilabelSoftMarginLossOptions& options = {});

}  // namespace nn

#pragma GCC visibility pop
