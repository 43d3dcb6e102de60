#pragma once

#include "autograd/tape/operation.hpp"

/// The operation behind `scaled_dot_product_attention` and its kin.
namespace autograd::internal {

/// How its inputs are read: q, k and v as (n, heads, l, e), or packed as `packed_attention` says;
/// then the mask (4 axes) and the seed of what is dropped, if any.
struct AttentionForm {
  bool packed, batch_first;
  std::int64_t heads, kv_heads;
  bool masked, causal;
  std::int64_t offset;
  double scale, dropout_p;
  XGRAD_ATTRIBUTES(packed, batch_first, heads, kv_heads, masked, causal, offset, scale, dropout_p)

  bool drops() const { return dropout_p > 0; }
  std::size_t projections(std::size_t inputs) const {
    return inputs - (masked ? 1 : 0) - (drops() ? 1 : 0);
  }
};

Tensor attention(const AttentionForm& form, const Inputs& in);
/// The weights in plain operations, of q (n, heads, l, e) and k (n, kv_heads, s, e).
Tensor attention_formula(const AttentionForm& form, const Tensor& q, const Tensor& k,
                         const Tensor& mask, const Tensor& seed);

}  // namespace autograd::internal
