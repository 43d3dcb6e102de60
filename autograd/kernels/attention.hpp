#pragma once

#include <cstdint>

#include "autograd/core/kernel.hpp"

/// softmax(scale q kᵀ + mask) v of many heads, some queries at a time: memory grows with the number
/// of keys, not with that of all pairs.
namespace autograd::kernels {

/// Where the rows of the heads of a tensor stand, in elements; the elements of a row are side by
/// side.
struct HeadSteps {
  std::int64_t batch, head, row;
};

/// What is the same for all elements of a call.
struct Attention {
  std::int64_t batch, heads, kv_heads;  // heads is a multiple of kv_heads
  std::int64_t queries, keys, width, value_width;
  HeadSteps q, k, v, o;  // of the result, and of its cotangent
  HeadSteps mask;        // 0 where it is broadcast
  std::int64_t mask_key;
  bool causal;  // query i sees the keys up to i + offset
  std::int64_t offset;
  double scale;
  double dropout_p;
  std::uint64_t seed;  // of the weights that are dropped
};

/// What a call reads. Of the two masks, `allowed` and `added`, at most one is not null.
template <class T>
struct AttentionInputs {
  const T *q, *k, *v;
  const bool* allowed;
  const T* added;
};

/// The result o, and for the gradient the largest score `top` of each query, (batch, heads,
/// queries), and 1 / Σ exp(score - top) as `share`: both 0 where all keys are masked.
template <class T>
void attention(const Attention& a, const AttentionInputs<T>& in, T* o, T* top, T* share);

/// The gradients of q, k, v, at the places where those stand, and of `added`, in its shape; those
/// that are not wanted are null. `g` is the cotangent of o.
template <class T>
void attention_gradient(const Attention& a, const AttentionInputs<T>& in, const T* o, const T* top,
                        const T* share, const T* g, T* gq, T* gk, T* gv, T* gmask);

/// The tangent of o, at its places, from those of q, k, v and `added`, at the places where those stand;
/// null: 0.
template <class T>
void attention_tangent(const Attention& a, const AttentionInputs<T>& in, const T* top,
                       const T* share, const AttentionInputs<T>& tangents, T* out);

/// The factors of the weights of one query, whose number among all queries is `row`: 0 with the
/// probability dropout_p, otherwise 1 / (1 - dropout_p).
template <class T>
void attention_dropout(double dropout_p, std::uint64_t seed, std::int64_t row, std::int64_t keys,
                       T* factors);

/// The scores of some queries of one head, rows of `keys` elements side by side.
template <class T>
struct AttentionTile {
  std::int64_t rows, keys;
  T* scores;
  const bool* allowed;  // masks of the first query, or null
  const T* added;
  std::int64_t mask_row, mask_key;
  std::int64_t visible;  // row i sees the first visible + i keys, at most all
  const T* dropout;      // factors, as the scores; or null
  T *top, *share;        // of each row, written
  // Of gradient and tangent alone.
  const T *known_top, *known_share;
  T* cotangents;        // as the scores; or tangents
  const T *output, *g;  // of the first query
  std::int64_t output_row, value_width;
};

/// Makes weights of scores, not yet divided by their sums, which go into `share`; those of masked
/// keys are 0.
template <class T>
struct AttentionWeights : Kernel<AttentionWeights<T>, Whole, void(const AttentionTile<T>* tile)> {};

/// Makes weights of scores, with what was dropped, and cotangents of scores of those of weights.
template <class T>
struct AttentionWeightsGradient
    : Kernel<AttentionWeightsGradient<T>, Whole, void(const AttentionTile<T>* tile)> {};

/// Makes weights of scores, and their tangents of those of scores, both with what was dropped.
template <class T>
struct AttentionWeightsTangent
    : Kernel<AttentionWeightsTangent<T>, Whole, void(const AttentionTile<T>* tile)> {};

/// Multiplies rows of n elements, which begin `step` apart, each by its factor.
template <class T>
struct ScaleRows
    : Kernel<ScaleRows<T>, Whole,
             void(T* x, std::int64_t rows, std::int64_t step, std::int64_t n, const T* factor)> {};

}  // namespace autograd::kernels
