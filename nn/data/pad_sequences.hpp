#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn::data {

namespace ag = autograd;

enum class Side { left, right };

struct PadOptions {
  std::optional<std::int64_t> length{};  ///< of the result; by default that of the longest sequence
  /// What shorter ones are filled with. 0 is "<pad>" in a `Vocabulary` with the usual `specials`, but
  /// in a `BpeTokenizer` a token of texts unless its first special token is for padding.
  double value = 0;
  Side padding_side = Side::right;     ///< where that stands
  Side truncation_side = Side::right;  ///< where longer ones lose what is too much
};

/// Sequences (length_i, …) of one dtype and the same further axes as one tensor (n, length, …), a
/// sequence a row. Data: a sequence that requires a gradient is refused, and so is a value that the
/// dtype cannot hold. Of no sequences: int64 (0, length), or (0, 0).
ag::Tensor pad_sequences(const std::vector<ag::Tensor>& sequences, const PadOptions& options = {});

/// How many entries each row of int64 tokens (n, length) has before its padding, which stands on the
/// right, as int64 (n); of one row (length) the number (). A padding index before the last other one
/// counts as an entry. For a padding on the left that is the whole length. `padding` must be an index
/// that texts do not have; see `PadOptions::value`.
ag::Tensor lengths(const ag::Tensor& tokens, std::int64_t padding = 0);

}  // namespace nn::data

#pragma GCC visibility pop
