#pragma once

#include <cstdint>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Operations of neural networks along an axis: softmax, norms, gates, losses.
namespace autograd {

/// exp(x) / sum(exp(x)) along one axis, without overflow.
Tensor softmax(const Tensor& x, std::int64_t axis = -1);
/// log(softmax(x)), without overflow or loss of digits.
Tensor log_softmax(const Tensor& x, std::int64_t axis = -1);

/// leaky_relu with a weight of one element, or of one per channel (axis 1 of x).
Tensor prelu(const Tensor& x, const Tensor& weight);
/// a sigmoid(b) with the halves a and b of x along one axis, of even size (Dauphin 2017).
Tensor glu(const Tensor& x, std::int64_t axis = -1);

/// How a loss is reduced over the samples.
enum class Reduction { mean, sum, none };

/// Options of `cross_entropy`.
struct CrossEntropyOptions {
  Tensor weight{};  ///< (classes): a factor per class; mean divides by their sum
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;        ///< in [0, 1]: that share of the target is spread evenly
  std::int64_t ignore_index = -100;  ///< targets of this value count for nothing
};
/// -log softmax(logits)[target] with logits (n, classes) or (n, classes, d1, …) or (classes), and
/// targets int64 without the class axis, or class probabilities in the shape of the logits (Szegedy
/// 2016 for the smoothing). With every target ignored, the mean is NaN, as in PyTorch.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets,
                     const CrossEntropyOptions& options = {});
/// (x - mean) / √(variance + eps) over the last `normalized.ndim()` axes, then · weight + bias
/// where defined, both of shape `normalized` (Ba, Kiros and Hinton 2016).
Tensor layer_norm(const Tensor& x, const Shape& normalized, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

}  // namespace autograd

#pragma GCC visibility pop
