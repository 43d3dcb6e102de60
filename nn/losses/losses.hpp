#pragma once

#include "autograd/ops/ops.hpp"

#pragma GCC visibility push(default)

/// Losses: functions of a prediction and a target of one shape and dtype (they do not broadcast: a
/// prediction (n, 1) with a target (n) would compare all pairs). The mean is over all elements, NaN
/// when there are none; Reduction::none gives a loss per element.
namespace nn {

namespace ag = autograd;
using autograd::cross_entropy;
using autograd::CrossEntropyOptions;
using autograd::Reduction;

struct LossOptions {
  Reduction reduction = Reduction::mean;
};
/// (input - target)². The textbook's ½ (y - a)² for one sample is `0.5 * mse_loss(a, y)`.
ag::Tensor mse_loss(const ag::Tensor& input, const ag::Tensor& target,
                    const LossOptions& options = {});
/// |input - target|.
ag::Tensor l1_loss(const ag::Tensor& input, const ag::Tensor& target,
                   const LossOptions& options = {});

struct HuberLossOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1;  ///< above 0
};
/// With d = |input - target|: ½ d² up to delta, delta (d - ½ delta) beyond (Huber 1964).
ag::Tensor huber_loss(const ag::Tensor& input, const ag::Tensor& target,
                      const HuberLossOptions& options = {});

struct SmoothL1LossOptions {
  Reduction reduction = Reduction::mean;
  double beta = 1;  ///< at least 0; 0 is l1_loss
};
/// With d = |input - target|: ½ d² / beta up to beta, d - ½ beta beyond: huber_loss / beta
/// (Girshick 2015).
ag::Tensor smooth_l1_loss(const ag::Tensor& input, const ag::Tensor& target,
                          const SmoothL1LossOptions& options = {});

struct BinaryCrossEntropyOptions {
  ag::Tensor weight{};  ///< a factor per element; broadcasts to the input
  Reduction reduction = Reduction::mean;
};
/// -(target log(input) + (1 - target) log(1 - input)) for probabilities: input in [0, 1]. The
/// logarithms are at least -100 and the divisor of the gradient at least 1e-12, as in PyTorch.
ag::Tensor binary_cross_entropy(const ag::Tensor& input, const ag::Tensor& target,
                                const BinaryCrossEntropyOptions& options = {});

struct BinaryCrossEntropyWithLogitsOptions {
  ag::Tensor weight{};  ///< a factor per element; broadcasts to the input
  Reduction reduction = Reduction::mean;
  ag::Tensor pos_weight{};  ///< a factor of the positive term; broadcasts to the input
};
/// The same of sigmoid(input), without overflow or loss of digits.
ag::Tensor binary_cross_entropy_with_logits(
    const ag::Tensor& input, const ag::Tensor& target,
    const BinaryCrossEntropyWithLogitsOptions& options = {});

struct NLLLossOptions {
  /// (classes): a factor per class; the mean divides by the sum of those used.
  ag::Tensor weight{};
  Reduction reduction = Reduction::mean;
  std::int64_t ignore_index = -100;  ///< targets of this value count for nothing
};
/// -input[target] for log-probabilities (n, classes), (n, classes, d1, …) or (classes), and targets
/// int64 without the class axis. With every target ignored, the mean is NaN.
ag::Tensor nll_loss(const ag::Tensor& input, const ag::Tensor& target,
                    const NLLLossOptions& options = {});

struct KLDivOptions {
  Reduction reduction = Reduction::mean;  ///< PyTorch's "batchmean" is the sum over size(0)
  bool log_target = false;                ///< the target holds log-probabilities too
};
/// target (log(target) - input) for log-probabilities `input`; 0 where the target is 0.
ag::Tensor kl_div(const ag::Tensor& input, const ag::Tensor& target,
                  const KLDivOptions& options = {});

}  // namespace nn

#pragma GCC visibility pop
