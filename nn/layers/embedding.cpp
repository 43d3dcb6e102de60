#include "nn/layers/embedding.hpp"

#include "autograd/ops/ops.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/module/init.hpp"

namespace nn {
namespace {

// The options of a table, with padding_idx counted from the start.
template <class Options>
Options checked(std::string_view op, Options o, const ag::Tensor& weight) {
  if (weight.ndim() != 2) ag::fail(op, "the weight must have 2 axes, got shape {}", weight.shape());
  const std::int64_t rows = weight.size(0);
  if (o.max_norm && !(*o.max_norm > 0))
    ag::fail(op, "max_norm must be above 0, got {}", *o.max_norm);
  if (!(o.norm_type >= 0)) ag::fail(op, "norm_type must be at least 0, got {}", o.norm_type);
  if (!o.padding_idx) return o;
  if (*o.padding_idx < -rows || *o.padding_idx >= rows)
    ag::fail(op, "padding_idx must be in [{}, {}) for a table of {} rows, got {}", -rows, rows,
             rows, *o.padding_idx);
  if (*o.padding_idx < 0) *o.padding_idx += rows;
  return o;
}

ag::Tensor table(std::string_view op, std::int64_t rows, std::int64_t width) {
  if (rows < 0 || width < 0)
    ag::fail(op, "num_embeddings and embedding_dim must be at least 0, got {} and {}", rows, width);
  return ag::empty({rows, width});
}

void reset(const ag::Tensor& weight, const std::optional<std::int64_t>& padding) {
  init::normal_(weight);
  const ag::NoGrad off;
  ag::Tensor target = weight;
  if (padding) target[{*padding}] = 0;
}

template <class Options>
std::string norm_repr(const Options& o) {
  std::string text;
  if (o.max_norm) text += ", max_norm=" + repr(*o.max_norm);
  if (o.norm_type != 2) text += ", norm_type=" + repr(o.norm_type);
  if (o.scale_grad_by_freq) text += ", scale_grad_by_freq=True";
  return text;
}
template <class Options>
std::string padding_repr(const Options& o) {
  return o.padding_idx ? fmt::format(", padding_idx={}", *o.padding_idx) : "";
}

}  // namespace

// ---------------------------------------------------------------- Embedding

Embedding::Embedding(const EmbeddingOptions& options, const ag::Tensor& values)
    : weight(values), options_(checked("embedding", options, values)) {}

Embedding::Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim,
                     const EmbeddingOptions& options)
    : Embedding(options, table("embedding", num_embeddings, embedding_dim)) {
  reset_parameters();
}

Embedding Embedding::from_pretrained(const ag::Tensor& embeddings, bool freeze,
                                     const EmbeddingOptions& options) {
  Embedding layer(options, embeddings);
  layer.weight.requires_grad_(!freeze);
  return layer;
}

void Embedding::reset_parameters() { reset(weight, options_.padding_idx); }

ag::Tensor Embedding::forward(const ag::Tensor& indices) const {
  return ag::embedding(indices, weight, options_);
}

std::string Embedding::extra_repr() const {
  return fmt::format("{}, {}{}{}{}", num_embeddings(), embedding_dim(), padding_repr(options_),
                     norm_repr(options_), options_.sparse ? ", sparse=True" : "");
}

// ---------------------------------------------------------------- EmbeddingBag

EmbeddingBag::EmbeddingBag(const EmbeddingBagOptions& options, const ag::Tensor& values)
    : weight(values), options_(checked("embedding_bag", options, values)) {
  if (options.scale_grad_by_freq && options.mode == BagMode::max)
    ag::fail("embedding_bag", "scale_grad_by_freq is for sum and mean, got mode max");
}

EmbeddingBag::EmbeddingBag(std::int64_t num_embeddings, std::int64_t embedding_dim,
                           const EmbeddingBagOptions& options)
    : EmbeddingBag(options, table("embedding_bag", num_embeddings, embedding_dim)) {
  reset_parameters();
}

EmbeddingBag EmbeddingBag::from_pretrained(const ag::Tensor& embeddings, bool freeze,
                                           const EmbeddingBagOptions& options) {
  EmbeddingBag layer(options, embeddings);
  layer.weight.requires_grad_(!freeze);
  return layer;
}

void EmbeddingBag::reset_parameters() { reset(weight, options_.padding_idx); }

ag::Tensor EmbeddingBag::forward(const ag::Tensor& indices, const ag::Tensor& offsets,
                                 const ag::Tensor& per_sample_weights) const {
  const EmbeddingBagOptions& o = options_;
  return ag::embedding_bag(indices, weight, offsets,
                           {.mode = o.mode,
                            .per_sample_weights = per_sample_weights,
                            .include_last_offset = o.include_last_offset,
                            .padding_idx = o.padding_idx,
                            .max_norm = o.max_norm,
                            .norm_type = o.norm_type,
                            .scale_grad_by_freq = o.scale_grad_by_freq,
                            .sparse = o.sparse});
}

std::string EmbeddingBag::extra_repr() const {
  return fmt::format("{}, {}{}, mode='{}'{}", num_embeddings(), embedding_dim(),
                     norm_repr(options_), name(options_.mode), padding_repr(options_));
}

}  // namespace nn
