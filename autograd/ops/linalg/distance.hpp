#pragma once

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Distances of vectors, which are the last axis: p-norms of their difference, for p ≥ 0 as in
/// `norm` (0 counts, inf is the largest). Where two are equal, the gradient is 0.
namespace autograd {

/// Options of `pairwise_distance`.
struct PairwiseDistanceOptions {
  double p = 2;
  double eps = 1e-6;  ///< added to each difference
  bool keepdim = false;
};
/// ‖a - b + eps‖ₚ over the last axis of their broadcast shape.
Tensor pairwise_distance(const Tensor& a, const Tensor& b,
                         const PairwiseDistanceOptions& options = {});

/// ‖aᵢ - bⱼ‖ₚ of all pairs: (…, n, d) and (…, m, d) give (…, n, m); the axes before broadcast. From
/// the differences themselves, never by a² - 2ab + b², so that near points keep their digits.
Tensor cdist(const Tensor& a, const Tensor& b, double p = 2);

}  // namespace autograd

#pragma GCC visibility pop
