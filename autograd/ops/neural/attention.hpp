#pragma once

#include <cstdint>
#include <optional>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Attention (Vaswani et al. 2017) of queries q (…, heads, l, e) to keys k (…, heads, s, e) and
/// values v (…, heads, s, ev). Axes before the last two may be missing and are broadcast.
namespace autograd {

/// Options of attention.
struct AttentionOptions {
  /// Broadcast to (…, heads, l, s): bools, false where a query does not see a key; or numbers that
  /// are added to the scores, where -∞ means the same. Its gradient at -∞ is 0.
  Tensor attn_mask{};
  double dropout_p = 0;  ///< in [0, 1]: weights dropped at random, by this thread's generator
  /// Query i sees the keys up to i + causal_offset, also where the lengths differ: the upper left
  /// corner, as in PyTorch. May be combined with a mask.
  bool is_causal = false;
  std::optional<double> scale{};   ///< factor of the scores; none: 1 / √e
  bool enable_gqa = false;         ///< k and v have fewer heads, each for heads / kv_heads of q
  std::int64_t causal_offset = 0;  ///< s - l makes it the lower right corner
};

/// softmax(scale q kᵀ + mask) v, (…, heads, l, ev), in memory that grows with l + s and not with
/// l · s, also for its gradient (as Dao et al. 2022): scores are made for some queries at a time,
/// and again in the backward. A query whose keys are all masked gives 0, and gradients of 0.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});
/// The weights by which it adds up v: dropout(softmax(scale q kᵀ + mask)), (…, heads, l, s).
Tensor attention_weights(const Tensor& q, const Tensor& k, const AttentionOptions& options = {});

/// Options of `packed_attention`.
struct PackedAttentionOptions {
  AttentionOptions attention{};  ///< enable_gqa is left as it is: kv_heads says it
  std::int64_t kv_heads = 0;     ///< heads of k and v; 0: as many as of q
  bool batch_first = true;       ///< false: tensors are (l, n, …)
};
/// The same of projections in which the heads stand side by side, which are read where they are:
/// {qkv} (n, l, (heads + 2 kv_heads) e), {q, kv} (n, l, heads e) and (n, s, 2 kv_heads e), or
/// {q, k, v}, of which v may have another size of head, ev. Gives (n, l, heads ev).
Tensor packed_attention(const TensorList& projections, std::int64_t heads,
                        const PackedAttentionOptions& options = {});

}  // namespace autograd

#pragma GCC visibility pop
