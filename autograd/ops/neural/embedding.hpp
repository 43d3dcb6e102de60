#pragma once

#include <cstdint>
#include <optional>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Lookups in tables of vectors. Indices are int64, in [0, n) for a weight (n, width). The gradient
/// of the weight is rows (see autograd/tape/rows.hpp): only those that were looked up.
namespace autograd {

/// Options of `embedding`.
struct EmbeddingOptions {
  /// A row that gets no gradient; negative from the end. Its elements are looked up as they are.
  std::optional<std::int64_t> padding_idx{};
  /// Rows that are looked up and whose norm is larger are first scaled to it, in place: the weight
  /// must be a leaf. Above 0.
  std::optional<double> max_norm{};
  double norm_type = 2;             ///< p of that norm; may be infinite
  bool scale_grad_by_freq = false;  ///< divides gradients by how often the row is looked up
  /// For programs of PyTorch's: the gradient is rows in either case, and every optimizer takes it.
  bool sparse = false;
};
/// The rows of `weight` (n, width) at `indices`, of any shape: (shape of the indices, width).
/// Repeated ones add up in the gradient. Throws on an index out of range.
Tensor embedding(const Tensor& indices, const Tensor& weight, const EmbeddingOptions& options = {});

/// What becomes of the rows of a bag.
enum class BagMode { sum, mean, max };
constexpr std::string_view name(BagMode mode) {
  return mode == BagMode::sum ? "sum" : mode == BagMode::mean ? "mean" : "max";
}

/// Options of `embedding_bag`.
struct EmbeddingBagOptions {
  BagMode mode = BagMode::mean;
  Tensor per_sample_weights{};       ///< like the indices: a factor for each row; for mode sum
  bool include_last_offset = false;  ///< the offsets end with the number of indices
  /// A row that counts for nothing: not in sums, means (nor their number) or maxima.
  std::optional<std::int64_t> padding_idx{};
  std::optional<double> max_norm{};  ///< see `EmbeddingOptions`
  double norm_type = 2;
  bool scale_grad_by_freq = false;  ///< not for mode max
  bool sparse = false;              ///< see `EmbeddingOptions`
};
/// The sum, mean or maximum of the rows of each bag: (bags, width). Bags are the rows of `indices`
/// (bags, length), or pieces of `indices` (n) that begin at `offsets` (int64, (bags), from 0 on,
/// not falling). An empty bag gives 0. Rows are added in their order; of equal maxima the first
/// gets the gradient, and a NaN is the maximum. The rows themselves are never laid out.
Tensor embedding_bag(const Tensor& indices, const Tensor& weight, const Tensor& offsets = {},
                     const EmbeddingBagOptions& options = {});

}  // namespace autograd

#pragma GCC visibility pop
