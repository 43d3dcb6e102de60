#pragma once

#include "autograd/ops/neural/neural.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// Options of `ctc_loss`.
struct CTCLossOptions {
  std::int64_t blank = 0;  ///< the class that stands for no label
  /// The mean is that of the losses over their target lengths (at least 1).
  Reduction reduction = Reduction::mean;
  bool zero_infinity = false;  ///< loss and gradient 0 where a target is too long for its input
};
/// Connectionist temporal classification (Graves 2006): -log of the probability that the classes of
/// the steps, without repetitions and then without blanks, are the target. `log_probs` is (steps,
/// n, classes), as of log_softmax, or (steps, classes); `targets` int64 (n, longest) or all targets
/// one after the other; `input_lengths` and `target_lengths` int64 (n), or () for one sample. The
/// gradient is that of these very numbers: PyTorch's adds exp(log_probs), which log_softmax takes
/// away again. Where the loss is infinite, the gradient is NaN.
Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, const CTCLossOptions& options = {});

}  // namespace autograd

#pragma GCC visibility pop
