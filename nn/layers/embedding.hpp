#pragma once

#include "autograd/ops/neural/embedding.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

/// Tables of vectors that are trained. Their gradient is rows: a step costs what was looked up, not
/// what the table holds, with the optimizers that step by rows (SGD, Adagrad, SparseAdam).
namespace nn {

using ag::BagMode;
using ag::EmbeddingOptions;

/// The rows of `weight` at indices: int64 of any shape → (shape, embedding_dim); see
/// `ag::embedding`. With `max_norm` a call changes the weight, so no two threads may call it then.
class Embedding : public Module {
 public:
  /// The weight starts normal, N(0, 1), with zeros at `padding_idx`. Sizes: num_embeddings ≥ 0,
  /// embedding_dim ≥ 0. Throws if `padding_idx` is out of range.
  Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim,
            const EmbeddingOptions& options = {});
  /// From a copy of `embeddings` (n, width), as they are; frozen unless `freeze` is false.
  static Embedding from_pretrained(const ag::Tensor& embeddings, bool freeze = true,
                                   const EmbeddingOptions& options = {});
  NN_MODULE(weight)
  ag::Tensor forward(const ag::Tensor& indices) const;
  /// Draws new initial values.
  void reset_parameters();
  std::int64_t num_embeddings() const { return weight.size(0); }
  std::int64_t embedding_dim() const { return weight.size(1); }
  const EmbeddingOptions& options() const noexcept { return options_; }
  std::string extra_repr() const override;

  Parameter weight;  ///< (num_embeddings, embedding_dim)

 private:
  Embedding(const EmbeddingOptions& options, const ag::Tensor& weight);
  EmbeddingOptions options_;
};

/// Options of `EmbeddingBag`.
struct EmbeddingBagOptions {
  std::optional<double> max_norm{};           ///< see `ag::EmbeddingOptions`
  double norm_type = 2;                       ///< p of that norm; may be infinite
  bool scale_grad_by_freq = false;            ///< see `ag::EmbeddingOptions`; not for mode max
  BagMode mode = BagMode::mean;               ///< what becomes of the rows of a bag
  bool sparse = false;                        ///< see `ag::EmbeddingOptions`
  bool include_last_offset = false;           ///< the offsets end with the number of indices
  std::optional<std::int64_t> padding_idx{};  ///< a row that counts for nothing
};

/// What besides the indices goes into a call of `EmbeddingBag`: `bag(i, {.per_sample_weights = w})`.
struct EmbeddingBagInput {
  ag::Tensor offsets{};             ///< int64 (bags): where each begins; undefined: rows are bags
  ag::Tensor per_sample_weights{};  ///< in the shape of the indices, for mode sum; undefined: 1
};

/// Sums, means or maxima of bags of rows of `weight`, which are never laid out: indices (bags,
/// length), or (n) with offsets (bags) → (bags, embedding_dim); see `ag::embedding_bag`. With
/// `max_norm` a call changes the weight, so no two threads may call it then.
class EmbeddingBag : public Module {
 public:
  /// As `Embedding` starts.
  EmbeddingBag(std::int64_t num_embeddings, std::int64_t embedding_dim,
               const EmbeddingBagOptions& options = {});
  /// See `Embedding::from_pretrained`.
  static EmbeddingBag from_pretrained(const ag::Tensor& embeddings, bool freeze = true,
                                      const EmbeddingBagOptions& options = {});
  NN_MODULE(weight)
  ag::Tensor forward(const ag::Tensor& indices, const ag::Tensor& offsets = {},
                     const ag::Tensor& per_sample_weights = {}) const;
  ag::Tensor forward(const ag::Tensor& indices, const EmbeddingBagInput& input) const {
    return forward(indices, input.offsets, input.per_sample_weights);
  }
  ag::Tensor operator()(const ag::Tensor& indices, const EmbeddingBagInput& input) const {
    return call_forward(*this, indices, input);
  }
  /// `bag(indices, {}, weights)`.
  ag::Tensor operator()(const ag::Tensor& indices, const ag::Tensor& offsets,
                        const ag::Tensor& per_sample_weights) const {
    return call_forward(*this, indices, EmbeddingBagInput{offsets, per_sample_weights});
  }
  /// Draws new initial values.
  void reset_parameters();
  std::int64_t num_embeddings() const { return weight.size(0); }
  std::int64_t embedding_dim() const { return weight.size(1); }
  const EmbeddingBagOptions& options() const noexcept { return options_; }
  std::string extra_repr() const override;

  Parameter weight;  ///< (num_embeddings, embedding_dim)

 private:
  EmbeddingBag(const EmbeddingBagOptions& options, const ag::Tensor& weight);
  EmbeddingBagOptions options_;
};

}  // namespace nn

#pragma GCC visibility pop
