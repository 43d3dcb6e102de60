#pragma once

#include <cstdint>

#include "autograd/core/random.hpp"

#pragma GCC visibility push(default)

namespace autograd {

struct MultinomialOptions {
  bool replacement = false;  ///< whether a place may be drawn more than once
};

/// n places drawn from each row of probabilities (m, k), or from one row (k), as int64 (m, n) or
/// (n), in the order in which they are drawn. The rows need not sum to 1. Not differentiable. Throws
/// unless they are floating, finite, at least 0, each with a sum above 0, and, without replacement,
/// with n or more that are above 0.
Tensor multinomial(const Tensor& probabilities, std::int64_t n,
                   const MultinomialOptions& options = {}, Generator& g = default_generator());

}  // namespace autograd

#pragma GCC visibility pop
