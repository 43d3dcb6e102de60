#pragma once

#include <optional>
#include <vector>

#include "nn/onnx/internal/save/table.hpp"

/// What moves elements along strides (permute, slices, flip, pad, diagonals, windows), read back into
/// axes. Internal.
namespace nn::onnx_out {

using Sizes = std::vector<std::int64_t>;

/// A list of blocks at one batch size: element (i, j, …) within `sizes` goes from `from_start` +
/// (i, j, …)·`from` to `to_start` + (i, j, …)·`to`.
struct Moves {
  struct Block {
    Sizes sizes, from, to;
    std::int64_t from_start, to_start;
  };
  Sizes from, to;
  std::vector<Block> blocks;
};

/// Those of a step at its k-th batch size; nothing where a stride is not linear in the batch size.
std::optional<Moves> moves_of(const Call& call, std::size_t k);

/// An axis of the result: entries first, first + step, … of the axis `source` of the operand.
struct Walk {
  std::int64_t source, first, step, length;
};
/// One walk over all elements of the result, if each of its axes walks along another one of the
/// operand; axes of the result with one entry have the source -1. `start`: where it begins.
std::optional<std::vector<Walk>> walks_of(const Moves& m, Sizes& start);

/// For each axis, which entry of the operand's axis each entry of the result is; -1 for none. If the
/// blocks are all combinations of pieces of axes.
std::optional<std::vector<Sizes>> pieces_of(const Moves& m);

/// For each element of the result of one sample the element of the same sample that goes there, all
/// of them; empty where samples are not moved alike. `back`: the other way.
std::optional<std::vector<Sizes>> sources_of(const Moves& m, std::int64_t samples, bool back);

}  // namespace nn::onnx_out
