#pragma once

#include "nn/losses/losses.hpp"

#pragma GCC visibility push(default)

/// Losses that are likelihoods of counts and of numbers with an uncertainty, and the focal loss.
namespace nn {

struct PoissonNLLLossOptions {
  bool log_input = true;  ///< the input is the logarithm of the rate
  bool full = false;      ///< add Stirling's approximation of log(target!), for targets above 1
  double eps = 1e-8;      ///< keeps the logarithm of a rate of 0 finite
  Reduction reduction = Reduction::mean;
};
/// exp(input) - target · input; without log_input, input - target · log(input + eps).
ag::Tensor poisson_nll_loss(const ag::Tensor& input, const ag::Tensor& target,
                            const PoissonNLLLossOptions& options = {});

struct GaussianNLLLossOptions {
  bool full = false;  ///< add ½ log 2π
  double eps = 1e-6;  ///< the least variance, above 0
  Reduction reduction = Reduction::mean;
};
/// ½ (log(var) + (input - target)² / var). `var` has the shape of the input, or that with a last
/// size of 1 or without the last axis, and no negative elements. Smaller ones than eps count as
/// eps, and have the gradient of that variance (Nix & Weigend 1994).
ag::Tensor gaussian_nll_loss(const ag::Tensor& input, const ag::Tensor& target,
                             const ag::Tensor& var, const GaussianNLLLossOptions& options = {});

struct SigmoidFocalLossOptions {
  double alpha = 0.25;  ///< weight of the positive class, in [0, 1]; below 0: no weights
  double gamma = 2;     ///< at least 0; 0 is binary_cross_entropy_with_logits
  Reduction reduction = Reduction::none;
};
/// (1 - p)^gamma times the cross entropy of logits, where p is the probability of the target (Lin
/// 2017). Names and defaults, that of the reduction too, are torchvision's.
ag::Tensor sigmoid_focal_loss(const ag::Tensor& input, const ag::Tensor& target,
                              const SigmoidFocalLossOptions& options = {});

}  // namespace nn

#pragma GCC visibility pop
