#pragma once

#include <cstdint>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace ag = autograd;

/// Sequences of several lengths without padding, as PyTorch's `PackedSequence`: their elements step
/// by step, the longest sequence first. Layers take a batch with lengths just as well (`gru(x,
/// {.lengths = lengths})`), which needs no packing.
struct PackedSequence {
  ag::Tensor data;              ///< (all steps of all sequences, …)
  ag::Tensor batch_sizes;       ///< int64 (steps): how many sequences reach each step
  ag::Tensor sorted_indices;    ///< int64 (batch): which sequence stands where
  ag::Tensor unsorted_indices;  ///< int64 (batch): where each sequence stands
};

/// Options of `pack_padded_sequence`.
struct PackOptions {
  bool batch_first = false;    ///< x is (batch, steps, …)
  bool enforce_sorted = true;  ///< refuses lengths that do not fall
};
/// x (steps, batch, …) without what is beyond the lengths: int64 (batch), in [1, steps]. Not for
/// functions that are compiled, since shapes depend on the lengths.
PackedSequence pack_padded_sequence(const ag::Tensor& x, const ag::Tensor& lengths,
                                    const PackOptions& options = {});

/// A padded batch, in the order before packing.
struct PaddedSequence {
  ag::Tensor output;   ///< (steps, batch, …)
  ag::Tensor lengths;  ///< int64 (batch)
};
/// Options of `pad_packed_sequence`.
struct PadOptions {
  bool batch_first = false;       ///< gives (batch, steps, …)
  double padding_value = 0;       ///< beyond the lengths
  std::int64_t total_length = 0;  ///< steps; 0: those of the longest sequence
};
PaddedSequence pad_packed_sequence(const PackedSequence& sequence, const PadOptions& options = {});

}  // namespace nn

#pragma GCC visibility pop
