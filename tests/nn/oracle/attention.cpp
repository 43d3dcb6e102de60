#include "autograd/ops/neural/attention.hpp"

#include "nn/layers/transformer.hpp"
#include "nn/nn.hpp"
#include "tests/catch.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;

Call attention(const ag::AttentionOptions& options = {}) {
  return [=](const TensorList& x) {
    ag::AttentionOptions o = options;
    if (x.size() > 3) o.attn_mask = x[3];
    return ag::scaled_dot_product_attention(x[0], x[1], x[2], o);
  };
}

/// A layer with PyTorch's state dict, called on the other inputs.
template <class M, class F>
Call called(const M& model, F call) {
  return [=](const Question& q) {
    M mine = model;
    mine.eval();
    const std::size_t count = q.inputs.size() - load_state(mine, q);
    TensorList inputs(q.inputs.begin(), q.inputs.begin() + static_cast<std::ptrdiff_t>(count));
    TensorList leaves;
    for (const ag::Tensor& t : inputs)
      if (t.requires_grad()) leaves.push_back(t);
    for (const ag::Tensor& p : mine.parameters()) leaves.push_back(p);
    return Answer{call(mine, inputs), leaves};
  };
}

TensorList both(const nn::AttentionOutput& out) { return {out.output, out.weights}; }

nn::MultiheadAttentionOptions batch_first(bool bias) { return {.bias = bias, .batch_first = true}; }

nn::TransformerLayerOptions options(const nn::AnyModule& activation, bool first = true,
                                    bool norm_first = false) {
  return {.dim_feedforward = 5,
          .activation = activation,
          .batch_first = first,
          .norm_first = norm_first};
}

}  // namespace

namespace oracle {

void add_attention(std::vector<Row>& rows) {
  using Mha = nn::MultiheadAttention;
  const auto self = [](const Mha& m, const TensorList& x) { return both(m(x[0], x[0], x[0])); };
  const auto plain = [](const Mha& m, const TensorList& x) {
    return TensorList{m(x[0], x[0], x[0], {.need_weights = false}).output};
  };
  const auto all = [](const Mha& m, const TensorList& x) { return both(m(x[0], x[1], x[2])); };
  const auto one = [](const auto& m, const TensorList& x) { return TensorList{m(x[0])}; };
  const auto two = [](const auto& m, const TensorList& x) { return TensorList{m(x[0], x[1])}; };
  nn::TransformerLayerOptions no_bias = options(nn::Tanh());
  no_bias.bias = false, no_bias.layer_norm_eps = 0.1;
  const nn::TransformerOptions whole{.num_encoder_layers = 1,
                                     .num_decoder_layers = 1,
                                     .dim_feedforward = 5,
                                     .activation = nn::GELU(),
                                     .batch_first = true};
  const std::vector<Row> table{
      {"scaled_dot_product_attention", attention()},
      {"scaled_dot_product_attention 2-d", attention()},
      {"scaled_dot_product_attention scale=0.3", attention({.scale = 0.3})},
      {"scaled_dot_product_attention causal more keys", attention({.is_causal = true})},
      {"scaled_dot_product_attention causal fewer keys", attention({.is_causal = true})},
      {"scaled_dot_product_attention bool mask with a row without keys", attention()},
      {"scaled_dot_product_attention mask", attention()},
      {"scaled_dot_product_attention mask of heads", attention()},
      {"scaled_dot_product_attention enable_gqa", attention({.enable_gqa = true})},
      {"scaled_dot_product_attention empty batch", attention()},
      {"scaled_dot_product_attention 70 queries", attention({.is_causal = true})},
      {"attention_weights", [](T q, T k) { return ag::attention_weights(q, k); }},
      {"packed_attention",
       [](T x) { return ag::packed_attention({x}, 2, {.attention = {.is_causal = true}}); }},
      {"MultiheadAttention", called(Mha(4, 2), self)},
      {"MultiheadAttention weights of heads",
       called(Mha(4, 2),
              [](const Mha& m, const TensorList& x) {
                return both(m(x[0], x[0], x[0], {.average_attn_weights = false}));
              })},
      {"MultiheadAttention without weights", called(Mha(4, 2), plain)},
      {"MultiheadAttention batch_first without bias", called(Mha(4, 2, batch_first(false)), plain)},
      {"MultiheadAttention key is value",
       called(Mha(4, 2),
              [](const Mha& m, const TensorList& x) {
                return TensorList{m(x[0], x[1], x[1], {.need_weights = false}).output};
              })},
      {"MultiheadAttention kdim vdim", called(Mha(4, 2, {.kdim = 3, .vdim = 5}), all)},
      {"MultiheadAttention add_bias_kv add_zero_attn",
       called(Mha(4, 2, {.add_bias_kv = true, .add_zero_attn = true}), self)},
      {"MultiheadAttention unbatched", called(Mha(4, 2), all)},
      {"MultiheadAttention masks",
       called(Mha(4, 2),
              [](const Mha& m, const TensorList& x) {
                return both(m(x[0], x[0], x[0], {.key_padding_mask = x[1], .attn_mask = x[2]}));
              })},
      {"MultiheadAttention mask of heads",
       called(Mha(4, 2, batch_first(true)),
              [](const Mha& m, const TensorList& x) {
                return TensorList{
                    m(x[0], x[0], x[0], {.attn_mask = x[1], .need_weights = false}).output};
              })},
      {"TransformerEncoderLayer",
       called(nn::TransformerEncoderLayer(4, 2, options(nn::Tanh(), false)), one)},
      {"TransformerEncoderLayer norm_first gelu",
       called(nn::TransformerEncoderLayer(4, 2, options(nn::GELU(), true, true)), one)},
      {"TransformerEncoderLayer without bias",
       called(nn::TransformerEncoderLayer(4, 2, no_bias), one)},
      {"TransformerEncoderLayer unbatched",
       called(nn::TransformerEncoderLayer(4, 2, options(nn::Tanh())), one)},
      {"TransformerEncoder",
       called(nn::TransformerEncoder(
                  nn::TransformerEncoderLayer(4, 2, options(nn::GELU(), true, true)), 2,
                  nn::LayerNorm(4)),
              [](const nn::TransformerEncoder& m, const TensorList& x) {
                return TensorList{m(x[0], {.src_key_padding_mask = x[1], .is_causal = true})};
              })},
      {"TransformerDecoderLayer",
       called(nn::TransformerDecoderLayer(4, 2, options(nn::Tanh(), false)), two)},
      {"TransformerDecoderLayer norm_first gelu",
       called(nn::TransformerDecoderLayer(4, 2, options(ag::gelu, true, true)),
              [](const nn::TransformerDecoderLayer& m, const TensorList& x) {
                return TensorList{m(x[0], x[1], {.tgt_mask = x[2]})};
              })},
      {"TransformerDecoder",
       called(nn::TransformerDecoder(nn::TransformerDecoderLayer(4, 2, options(nn::GELU())), 2),
              [](const nn::TransformerDecoder& m, const TensorList& x) {
                return TensorList{m(x[0], x[1], {.memory_key_padding_mask = x[2]})};
              })},
      {"Transformer", called(nn::Transformer(4, 2, whole),
                             [](const nn::Transformer& m, const TensorList& x) {
                               return TensorList{m(x[0], x[1], {.tgt_is_causal = true})};
                             })},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases attention_cases(add_attention);

}  // namespace oracle
