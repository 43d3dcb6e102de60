#pragma once

#include "autograd/ops/neural/attention.hpp"
#include "nn/layers/linear.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Keys and values of the positions that an attention has seen: with it a sequence is generated
/// piece by piece, each piece computed once, to the same values as the whole. One for each
/// attention and sequence; copies share nothing that changes. For one thread at a time, and not for
/// functions of `compile()`, whose shapes stay the same.
class KeyValueCache {
 public:
  std::int64_t length() const noexcept { return length_; }  ///< positions that it holds
  /// Forgets all of them.
  void clear() { *this = {}; }
  /// Adds keys and values of further positions along `axis`. Throws if other sizes differ from
  /// those that it holds.
  void append(const ag::Tensor& key, const ag::Tensor& value, std::int64_t axis);
  const ag::Tensor& key() const noexcept { return key_; }  ///< of all positions; undefined if none
  const ag::Tensor& value() const noexcept { return value_; }

 private:
  ag::Tensor key_, value_;
  std::int64_t length_ = 0;
};

/// What `MultiheadAttention` returns.
struct AttentionOutput {
  ag::Tensor output;   ///< in the layout of the query
  ag::Tensor weights;  ///< (n, l, s), or (n, heads, l, s); undefined unless they are needed
};

/// Options of `MultiheadAttention`.
struct MultiheadAttentionOptions {
  double dropout = 0;          ///< of the weights in training, in [0, 1]
  bool bias = true;            ///< of the projections
  bool add_bias_kv = false;    ///< one more key and value, which are learned
  bool add_zero_attn = false;  ///< one more key and value of zeros
  std::int64_t kdim = 0;       ///< features of the keys; 0: embed_dim
  std::int64_t vdim = 0;       ///< features of the values; 0: embed_dim
  bool batch_first = false;    ///< (n, l, features) instead of (l, n, features)
};

/// Options of a call of `MultiheadAttention`. In masks of bools true means *not* to look, as in
/// PyTorch (and the contrary of `ag::scaled_dot_product_attention`); numbers are added to the
/// scores.
struct MultiheadAttentionCall {
  ag::Tensor key_padding_mask{};     ///< (n, s), or (s) for one sequence
  ag::Tensor attn_mask{};            ///< (l, s), or (n heads, l, s)
  bool need_weights = true;          ///< false: in memory that grows with the length alone
  bool average_attn_weights = true;  ///< weights are the mean over the heads
  bool is_causal = false;  ///< query i sees the keys up to i; needs no attn_mask, unlike PyTorch
  KeyValueCache* cache = nullptr;  ///< keys and values before these; needs is_causal
};

/// Attention of several heads (Vaswani et al. 2017): the projections of query (l, n, embed_dim),
/// key (s, n, kdim) and value (s, n, vdim), each in heads of embed_dim / num_heads, through
/// `ag::scaled_dot_product_attention` and a last projection. One sequence may come without n. A
/// query whose keys are all masked gives the bias of the last projection.
class MultiheadAttention : public Module {
 public:
  /// embed_dim must be a multiple of num_heads.
  MultiheadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                     const MultiheadAttentionOptions& options = {});
  NN_MODULE(in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, bias_k,
            bias_v, out_proj)
  AttentionOutput forward(const ag::Tensor& query, const ag::Tensor& key, const ag::Tensor& value,
                          const MultiheadAttentionCall& options = {}) const;
  AttentionOutput operator()(const ag::Tensor& query, const ag::Tensor& key,
                             const ag::Tensor& value, const MultiheadAttentionCall& options) const {
    return call_forward(*this, query, key, value, options);
  }
  /// Draws new initial values.
  void reset_parameters();
  std::int64_t embed_dim() const noexcept { return embed_dim_; }
  std::int64_t num_heads() const noexcept { return heads_; }
  bool batch_first() const noexcept { return options_.batch_first; }

  Parameter in_proj_weight;  ///< (3 embed_dim, embed_dim): of query, key and value
  Parameter q_proj_weight;   ///< (embed_dim, embed_dim); these three where kdim or vdim differ
  Parameter k_proj_weight;   ///< (embed_dim, kdim)
  Parameter v_proj_weight;   ///< (embed_dim, vdim)
  Parameter in_proj_bias;    ///< (3 embed_dim)
  Parameter bias_k, bias_v;  ///< (1, 1, embed_dim)
  Linear out_proj;

 private:
  void check(const ag::Tensor& query, const ag::Tensor& key, const ag::Tensor& value,
             const MultiheadAttentionCall& call) const;
  ag::Tensor projected(const ag::Tensor& x, std::int64_t first, std::int64_t count) const;
  ag::TensorList projections(const ag::Tensor& query, const ag::Tensor& key,
                             const ag::Tensor& value, bool apart) const;
  void add_keys(ag::Tensor& key, ag::Tensor& value) const;
  ag::Tensor mask_of(const MultiheadAttentionCall& call, std::int64_t n, std::int64_t l,
                     std::int64_t s, bool causal) const;
  AttentionOutput with_weights(const ag::TensorList& in, const ag::AttentionOptions& options,
                               bool average) const;

  std::int64_t embed_dim_, heads_;
  MultiheadAttentionOptions options_;
};

}  // namespace nn

#pragma GCC visibility pop
