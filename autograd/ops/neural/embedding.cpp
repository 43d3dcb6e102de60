#include "autograd/ops/neural/embedding.hpp"

#include <cstring>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/prefetch.hpp"
#include "autograd/ops/neural/internal/lookup.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

// Rows of a table, the first input, at indices, the second.
struct Embedding {
  std::int64_t padding;  // -1: none
  bool by_frequency;
  XGRAD_ATTRIBUTES(padding, by_frequency)

  std::string_view name() const { return "embedding"; }
  TensorSpec infer(const Inputs& in) const {
    Shape shape = in[1].shape();
    shape.push_back(in[0].shape()[1]);
    return {shape, in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* index = static_cast<const std::int64_t*>(in[1].raw());
    internal::check_rows(name(), index, in[1].numel(), in[0].shape()[0]);
    const auto bytes = static_cast<std::size_t>(in[0].shape()[1]) * size_of(in[0].dtype());
    if (bytes == 0) return;
    const auto* table = static_cast<const char*>(in[0].raw());
    auto* to = static_cast<char*>(out.raw_mutable());
    const auto row = [&](std::int64_t i) {
      return table + static_cast<std::size_t>(index[i]) * bytes;
    };
    parallel_for(in[1].numel(), 1, 10 + 0.05 * static_cast<double>(bytes),
                 [&](std::int64_t first, std::int64_t last) {
                   for (std::int64_t i = first; i < last; ++i) {
                     const std::int64_t ahead = i + detail::kRowsAhead;
                     if (ahead < last) detail::prefetch(row(ahead), bytes);
                     std::memcpy(to + static_cast<std::size_t>(i) * bytes, row(i), bytes);
                   }
                 });
  }
  unsigned saves() const { return save_input(1); }
  TensorList backward(const Call& call) const {
    const Shape& whole = call.input_shape(0);
    const Tensor indices = flatten(call.input(1));
    Tensor g = reshape(call.grad(), {indices.numel(), whole[1]});
    if (by_frequency) g = g * unsqueeze(internal::frequency_factors(indices, g.dtype()), 1);
    if (padding < 0) return {from_rows(whole, indices, g), Tensor()};
    if (grad_enabled() && g.requires_grad()) {
      const Tensor dead = unsqueeze(indices == static_cast<double>(padding), 1);
      return {from_rows(whole, indices, masked_fill(g, dead, 0)), Tensor()};
    }
    const Tensor places = internal::live_places(name(), indices, whole[0], padding);
    return {internal::rows_at(g, places, whole), Tensor()};
  }
  // Where the gradient is not that of the table, neither is what jvp follows.
  Jacobian jacobian() const {
    return by_frequency || padding >= 0 ? Jacobian::any : Jacobian::linear;
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.differs(0)) return {};
    return in.call(*this, {in[0], in[1]});
  }
};

}  // namespace

Tensor embedding(const Tensor& indices, const Tensor& weight, const EmbeddingOptions& options) {
  const detail::Named as("embedding");
  const std::int64_t padding = internal::begin_lookup(
      "embedding", indices, weight, {options.padding_idx, options.max_norm, options.norm_type});
  return apply(Embedding{padding, options.scale_grad_by_freq}, weight, indices);
}

}  // namespace autograd
