#pragma once

#include <optional>
#include <vector>

#include "nn/layers/activation.hpp"
#include "nn/layers/attention.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/layers/normalization.hpp"
#include "nn/module/any_module.hpp"

#pragma GCC visibility push(default)

/// Transformers (Vaswani et al. 2017) as PyTorch builds them. Sequences are (length, n, d_model),
/// (n, length, d_model) with batch_first, or (length, d_model) for one. In masks of bools true
/// means *not* to look; see `MultiheadAttentionCall`. `is_causal` needs no mask beside it.
namespace nn {

/// Options of the layers of a transformer.
struct TransformerLayerOptions {
  std::int64_t dim_feedforward = 2048;  ///< between the two linear layers
  double dropout = 0.1;                 ///< in training, in [0, 1]
  AnyModule activation = ReLU();        ///< a layer or a function, such as ag::gelu
  double layer_norm_eps = 1e-5;
  bool batch_first = false;
  bool norm_first = false;  ///< normalise what goes into each part, not what comes out
  bool bias = true;         ///< of linear layers and norms
};

/// Options of a call of `TransformerEncoderLayer`.
struct TransformerEncoderLayerCall {
  ag::Tensor src_mask{};              ///< (l, l), or (n heads, l, l)
  ag::Tensor src_key_padding_mask{};  ///< (n, l)
  bool is_causal = false;             ///< position i sees those up to i
  KeyValueCache* cache = nullptr;     ///< the positions before these; needs is_causal
};

/// Attention to itself and two linear layers, each with dropout, a sum with what went in, and a
/// norm.
class TransformerEncoderLayer : public Module {
 public:
  /// d_model must be a multiple of nhead.
  TransformerEncoderLayer(std::int64_t d_model, std::int64_t nhead,
                          const TransformerLayerOptions& options = {});
  NN_MODULE(self_attn, linear1, dropout, linear2, norm1, norm2, dropout1, dropout2, activation)
  ag::Tensor forward(const ag::Tensor& src, const TransformerEncoderLayerCall& options = {}) const;
  ag::Tensor operator()(const ag::Tensor& src, const TransformerEncoderLayerCall& options) const {
    return call_forward(*this, src, options);
  }

  MultiheadAttention self_attn;
  Linear linear1;
  Dropout dropout;
  Linear linear2;
  LayerNorm norm1, norm2;
  Dropout dropout1, dropout2;
  AnyModule activation;

 private:
  bool norm_first_;
};

/// Options of a call of `TransformerEncoder`.
struct TransformerEncoderCall {
  ag::Tensor mask{};                            ///< (l, l), or (n heads, l, l)
  ag::Tensor src_key_padding_mask{};            ///< (n, l)
  bool is_causal = false;                       ///< position i sees those up to i
  std::vector<KeyValueCache>* cache = nullptr;  ///< one for each layer, or empty at the start
};

/// Copies of a layer, one after the other, and a last norm, if any. All begin with the values of
/// that layer, as in PyTorch.
class TransformerEncoder : public Module {
 public:
  /// num_layers of at least 0.
  TransformerEncoder(const TransformerEncoderLayer& encoder_layer, std::int64_t num_layers,
                     std::optional<AnyModule> norm = std::nullopt);
  NN_MODULE(layers, norm)
  ag::Tensor forward(const ag::Tensor& src, const TransformerEncoderCall& options = {}) const;
  ag::Tensor operator()(const ag::Tensor& src, const TransformerEncoderCall& options) const {
    return call_forward(*this, src, options);
  }

  std::vector<TransformerEncoderLayer> layers;
  std::optional<AnyModule> norm;
};

/// Options of a call of `TransformerDecoderLayer`.
struct TransformerDecoderLayerCall {
  ag::Tensor tgt_mask{};                 ///< (l, l), or (n heads, l, l)
  ag::Tensor memory_mask{};              ///< (l, s), or (n heads, l, s)
  ag::Tensor tgt_key_padding_mask{};     ///< (n, l)
  ag::Tensor memory_key_padding_mask{};  ///< (n, s)
  bool tgt_is_causal = false;            ///< position i of tgt sees those up to i
  bool memory_is_causal = false;         ///< position i of tgt sees those of memory up to i
  KeyValueCache* cache = nullptr;        ///< the positions of tgt before these
};

/// Attention of a sequence to itself, to another one (`memory`), and two linear layers, each with
/// dropout, a sum with what went in, and a norm.
class TransformerDecoderLayer : public Module {
 public:
  /// d_model must be a multiple of nhead.
  TransformerDecoderLayer(std::int64_t d_model, std::int64_t nhead,
                          const TransformerLayerOptions& options = {});
  NN_MODULE(self_attn, multihead_attn, linear1, dropout, linear2, norm1, norm2, norm3, dropout1,
            dropout2, dropout3, activation)
  ag::Tensor forward(const ag::Tensor& tgt, const ag::Tensor& memory,
                     const TransformerDecoderLayerCall& options = {}) const;
  ag::Tensor operator()(const ag::Tensor& tgt, const ag::Tensor& memory,
                        const TransformerDecoderLayerCall& options) const {
    return call_forward(*this, tgt, memory, options);
  }

  MultiheadAttention self_attn, multihead_attn;
  Linear linear1;
  Dropout dropout;
  Linear linear2;
  LayerNorm norm1, norm2, norm3;
  Dropout dropout1, dropout2, dropout3;
  AnyModule activation;

 private:
  bool norm_first_;
};

/// Options of a call of `TransformerDecoder`.
struct TransformerDecoderCall {
  ag::Tensor tgt_mask{};                        ///< (l, l), or (n heads, l, l)
  ag::Tensor memory_mask{};                     ///< (l, s), or (n heads, l, s)
  ag::Tensor tgt_key_padding_mask{};            ///< (n, l)
  ag::Tensor memory_key_padding_mask{};         ///< (n, s)
  bool tgt_is_causal = false;                   ///< position i of tgt sees those up to i
  bool memory_is_causal = false;                ///< position i of tgt sees those of memory up to i
  std::vector<KeyValueCache>* cache = nullptr;  ///< one for each layer, or empty at the start
};

/// Copies of a layer, one after the other, and a last norm, if any. All begin with the values of
/// that layer, as in PyTorch.
class TransformerDecoder : public Module {
 public:
  /// num_layers of at least 0.
  TransformerDecoder(const TransformerDecoderLayer& decoder_layer, std::int64_t num_layers,
                     std::optional<AnyModule> norm = std::nullopt);
  NN_MODULE(layers, norm)
  ag::Tensor forward(const ag::Tensor& tgt, const ag::Tensor& memory,
                     const TransformerDecoderCall& options = {}) const;
  ag::Tensor operator()(const ag::Tensor& tgt, const ag::Tensor& memory,
                        const TransformerDecoderCall& options) const {
    return call_forward(*this, tgt, memory, options);
  }

  std::vector<TransformerDecoderLayer> layers;
  std::optional<AnyModule> norm;
};

/// Options of `Transformer`.
struct TransformerOptions {
  std::int64_t num_encoder_layers = 6;
  std::int64_t num_decoder_layers = 6;
  std::int64_t dim_feedforward = 2048;  ///< between the two linear layers
  double dropout = 0.1;                 ///< in training, in [0, 1]
  AnyModule activation = ReLU();        ///< a layer or a function, such as ag::gelu
  double layer_norm_eps = 1e-5;
  bool batch_first = false;
  bool norm_first = false;  ///< normalise what goes into each part, not what comes out
  bool bias = true;         ///< of linear layers and norms
};

/// Options of a call of `Transformer`.
struct TransformerCall {
  ag::Tensor src_mask{};                 ///< (s, s), or (n heads, s, s)
  ag::Tensor tgt_mask{};                 ///< (l, l), or (n heads, l, l)
  ag::Tensor memory_mask{};              ///< (l, s), or (n heads, l, s)
  ag::Tensor src_key_padding_mask{};     ///< (n, s)
  ag::Tensor tgt_key_padding_mask{};     ///< (n, l)
  ag::Tensor memory_key_padding_mask{};  ///< (n, s)
  bool src_is_causal = false;            ///< position i of src sees those up to i
  bool tgt_is_causal = false;            ///< position i of tgt sees those up to i
  bool memory_is_causal = false;         ///< position i of tgt sees those of memory up to i
};

/// An encoder of src and a decoder of tgt that looks at what comes out, each with a last norm.
/// Weights start by Glorot's uniform rule.
class Transformer : public Module {
 public:
  explicit Transformer(std::int64_t d_model = 512, std::int64_t nhead = 8,
                       const TransformerOptions& options = {});
  NN_MODULE(encoder, decoder)
  ag::Tensor forward(const ag::Tensor& src, const ag::Tensor& tgt,
                     const TransformerCall& options = {}) const;
  ag::Tensor operator()(const ag::Tensor& src, const ag::Tensor& tgt,
                        const TransformerCall& options) const {
    return call_forward(*this, src, tgt, options);
  }
  /// Draws new initial values for all matrices.
  void reset_parameters();
  /// The causal mask as numbers: (size, size), -∞ above the diagonal, 0 elsewhere.
  static ag::Tensor generate_square_subsequent_mask(std::int64_t size,
                                                    ag::DType dtype = ag::float32);

  TransformerEncoder encoder;
  TransformerDecoder decoder;

 private:
  bool batch_first_;
};

}  // namespace nn

#pragma GCC visibility pop
