#include "nn/layers/transformer.hpp"

#include <limits>
#include <string_view>

#include "autograd/ops/ops.hpp"
#include "nn/module/init.hpp"

namespace nn {
namespace {

std::int64_t checked_feedforward(std::string_view layer, std::int64_t n) {
  if (n < 1) ag::fail(layer, "dim_feedforward must be at least 1, got {}", n);
  return n;
}

MultiheadAttention attention(std::int64_t d_model, std::int64_t nhead,
                             const TransformerLayerOptions& o) {
  return {d_model, nhead, {.dropout = o.dropout, .bias = o.bias, .batch_first = o.batch_first}};
}

LayerNorm norm_of(std::int64_t d_model, double eps, bool bias) {
  return LayerNorm({d_model}, {.eps = eps, .bias = bias});
}

// The cache of layer i; null without any.
KeyValueCache* cache_of(std::vector<KeyValueCache>* caches, std::size_t i) {
  return caches ? &(*caches)[i] : nullptr;
}

void check_caches(std::string_view name, std::vector<KeyValueCache>* caches, std::size_t layers) {
  if (!caches) return;
  if (caches->empty()) caches->resize(layers);
  if (caches->size() != layers)
    ag::fail(name, "the cache must have an entry for each of {} layers, or none, got {}", layers,
             caches->size());
}

template <class Layer>
void copy_layer(std::string_view name, const Layer& layer, std::int64_t count,
                std::vector<Layer>& to) {
  constexpr std::int64_t kMost = 65536;
  if (count < 0 || count > kMost)
    ag::fail(name, "num_layers must be in [0, {}], got {}", kMost, count);
  to.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) to.push_back(layer);
}

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(std::int64_t d_model, std::int64_t nhead,
                                                 const TransformerLayerOptions& o)
    : self_attn(attention(d_model, nhead, o)),
      linear1(d_model, checked_feedforward("transformer_encoder_layer", o.dim_feedforward), o.bias),
      dropout(o.dropout),
      linear2(o.dim_feedforward, d_model, o.bias),
      norm1(norm_of(d_model, o.layer_norm_eps, o.bias)),
      norm2(norm_of(d_model, o.layer_norm_eps, o.bias)),
      dropout1(o.dropout),
      dropout2(o.dropout),
      activation(o.activation),
      norm_first_(o.norm_first) {}

ag::Tensor TransformerEncoderLayer::forward(const ag::Tensor& src,
                                            const TransformerEncoderLayerCall& call) const {
  const auto attend = [&](const ag::Tensor& x) {
    return dropout1(self_attn(x, x, x,
                              {.key_padding_mask = call.src_key_padding_mask,
                               .attn_mask = call.src_mask,
                               .need_weights = false,
                               .is_causal = call.is_causal,
                               .cache = call.cache})
                        .output);
  };
  const auto feed = [&](const ag::Tensor& x) {
    return dropout2(linear2(dropout(activation(linear1(x)))));
  };
  if (norm_first_) {
    const ag::Tensor x = src + attend(norm1(src));
    return x + feed(norm2(x));
  }
  const ag::Tensor x = norm1(src + attend(src));
  return norm2(x + feed(x));
}

TransformerEncoder::TransformerEncoder(const TransformerEncoderLayer& encoder_layer,
                                       std::int64_t num_layers, std::optional<AnyModule> last)
    : norm(std::move(last)) {
  copy_layer("transformer_encoder", encoder_layer, num_layers, layers);
}

ag::Tensor TransformerEncoder::forward(const ag::Tensor& src,
                                       const TransformerEncoderCall& call) const {
  check_caches("transformer_encoder", call.cache, layers.size());
  ag::Tensor x = src;
  for (std::size_t i = 0; i < layers.size(); ++i)
    x = layers[i](x, {.src_mask = call.mask,
                      .src_key_padding_mask = call.src_key_padding_mask,
                      .is_causal = call.is_causal,
                      .cache = cache_of(call.cache, i)});
  return norm ? (*norm)(x) : x;
}

TransformerDecoderLayer::TransformerDecoderLayer(std::int64_t d_model, std::int64_t nhead,
                                                 const TransformerLayerOptions& o)
    : self_attn(attention(d_model, nhead, o)),
      multihead_attn(attention(d_model, nhead, o)),
      linear1(d_model, checked_feedforward("transformer_decoder_layer", o.dim_feedforward), o.bias),
      dropout(o.dropout),
      linear2(o.dim_feedforward, d_model, o.bias),
      norm1(norm_of(d_model, o.layer_norm_eps, o.bias)),
      norm2(norm_of(d_model, o.layer_norm_eps, o.bias)),
      norm3(norm_of(d_model, o.layer_norm_eps, o.bias)),
      dropout1(o.dropout),
      dropout2(o.dropout),
      dropout3(o.dropout),
      activation(o.activation),
      norm_first_(o.norm_first) {}

ag::Tensor TransformerDecoderLayer::forward(const ag::Tensor& tgt, const ag::Tensor& memory,
                                            const TransformerDecoderLayerCall& call) const {
  const auto attend = [&](const ag::Tensor& x) {
    return dropout1(self_attn(x, x, x,
                              {.key_padding_mask = call.tgt_key_padding_mask,
                               .attn_mask = call.tgt_mask,
                               .need_weights = false,
                               .is_causal = call.tgt_is_causal,
                               .cache = call.cache})
                        .output);
  };
  const auto look = [&](const ag::Tensor& x) {
    return dropout2(multihead_attn(x, memory, memory,
                                   {.key_padding_mask = call.memory_key_padding_mask,
                                    .attn_mask = call.memory_mask,
                                    .need_weights = false,
                                    .is_causal = call.memory_is_causal})
                        .output);
  };
  const auto feed = [&](const ag::Tensor& x) {
    return dropout3(linear2(dropout(activation(linear1(x)))));
  };
  if (norm_first_) {
    ag::Tensor x = tgt + attend(norm1(tgt));
    x = x + look(norm2(x));
    return x + feed(norm3(x));
  }
  ag::Tensor x = norm1(tgt + attend(tgt));
  x = norm2(x + look(x));
  return norm3(x + feed(x));
}

TransformerDecoder::TransformerDecoder(const TransformerDecoderLayer& decoder_layer,
                                       std::int64_t num_layers, std::optional<AnyModule> last)
    : norm(std::move(last)) {
  copy_layer("transformer_decoder", decoder_layer, num_layers, layers);
}

ag::Tensor TransformerDecoder::forward(const ag::Tensor& tgt, const ag::Tensor& memory,
                                       const TransformerDecoderCall& call) const {
  check_caches("transformer_decoder", call.cache, layers.size());
  ag::Tensor x = tgt;
  for (std::size_t i = 0; i < layers.size(); ++i)
    x = layers[i](x, memory,
                  {.tgt_mask = call.tgt_mask,
                   .memory_mask = call.memory_mask,
                   .tgt_key_padding_mask = call.tgt_key_padding_mask,
                   .memory_key_padding_mask = call.memory_key_padding_mask,
                   .tgt_is_causal = call.tgt_is_causal,
                   .memory_is_causal = call.memory_is_causal,
                   .cache = cache_of(call.cache, i)});
  return norm ? (*norm)(x) : x;
}

namespace {
TransformerLayerOptions layer_options(const TransformerOptions& o) {
  return {.dim_feedforward = o.dim_feedforward,
          .dropout = o.dropout,
          .activation = o.activation,
          .layer_norm_eps = o.layer_norm_eps,
          .batch_first = o.batch_first,
          .norm_first = o.norm_first,
          .bias = o.bias};
}
}  // namespace

Transformer::Transformer(std::int64_t d_model, std::int64_t nhead, const TransformerOptions& o)
    : encoder(TransformerEncoderLayer(d_model, nhead, layer_options(o)), o.num_encoder_layers,
              norm_of(d_model, o.layer_norm_eps, o.bias)),
      decoder(TransformerDecoderLayer(d_model, nhead, layer_options(o)), o.num_decoder_layers,
              norm_of(d_model, o.layer_norm_eps, o.bias)),
      batch_first_(o.batch_first) {
  reset_parameters();
}

void Transformer::reset_parameters() {
  for (const ag::Tensor& p : parameters())
    if (p.ndim() > 1) init::xavier_uniform_(p);
}

ag::Tensor Transformer::generate_square_subsequent_mask(std::int64_t size, ag::DType dtype) {
  return ag::triu(ag::full({size, size}, -std::numeric_limits<double>::infinity(), dtype), 1);
}

ag::Tensor Transformer::forward(const ag::Tensor& src, const ag::Tensor& tgt,
                                const TransformerCall& call) const {
  const std::int64_t batch = batch_first_ ? 0 : 1;
  if (src.ndim() != tgt.ndim() || (src.ndim() == 3 && src.size(batch) != tgt.size(batch)))
    ag::fail("transformer", "src and tgt must have one batch size, got {} and {}", src.shape(),
             tgt.shape());
  const ag::Tensor memory = encoder(src, {.mask = call.src_mask,
                                          .src_key_padding_mask = call.src_key_padding_mask,
                                          .is_causal = call.src_is_causal});
  return decoder(tgt, memory,
                 {.tgt_mask = call.tgt_mask,
                  .memory_mask = call.memory_mask,
                  .tgt_key_padding_mask = call.tgt_key_padding_mask,
                  .memory_key_padding_mask = call.memory_key_padding_mask,
                  .tgt_is_causal = call.tgt_is_causal,
                  .memory_is_causal = call.memory_is_causal});
}

}  // namespace nn
