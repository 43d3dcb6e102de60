#pragma once

#include <cstdint>

#include "autograd/core/random.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// Options of `choice`, as NumPy's `Generator.choice` has them.
struct ChoiceOptions {
  bool replacement = true;  ///< whether a place may be drawn more than once
  Tensor p{};  ///< (n): the probability of each, floating, with sum 1; undefined: all are alike
};

/// Places in [0, n) drawn at random, as int64 of shape `size`; () for one: `choice(10, {3})`.
/// Without replacement in a random order. Throws unless n is at least 1 (0 for no draws), the
/// probabilities are at least 0 and add up to 1 within 1e-6, and, without replacement, there are as
/// many places that may be drawn as draws.
Tensor choice(std::int64_t n, const Shape& size = {}, const ChoiceOptions& options = {},
              Generator& g = default_generator());
/// Entries of the first axis of `a` (n, …), so drawn: (size, …). Differentiable by a.
Tensor choice(const Tensor& a, const Shape& size = {}, const ChoiceOptions& options = {},
              Generator& g = default_generator());

/// A place along the last axis of logits (…, k), drawn by the probabilities softmax(logits): int64
/// (…). -∞ is never drawn. Not differentiable. Throws on NaN, and where nothing can be drawn.
Tensor categorical(const Tensor& logits, Generator& g = default_generator());

}  // namespace autograd

#pragma GCC visibility pop
