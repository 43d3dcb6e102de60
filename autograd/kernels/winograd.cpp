#include "autograd/kernels/winograd.hpp"

#include "autograd/core/kernel_call.hpp"

namespace autograd::kernels {

template <class T>
bool goes_by_blocks(const TapSum& sum, std::int64_t results) {
  constexpr std::int64_t channels = 16, least = 4;
  if (sizeof(T) != 4 || sum.channels < channels || results < channels) return false;
  for (std::size_t d = 0; d < 3; ++d) {
    const Axis& a = sum.axes[d];
    const bool steps = a.step == 1 && a.result_step == 1;
    if (!steps || a.taps != (d == 0 ? 1 : 3)) return false;
    if (d > 0 && (a.gap() != 1 || std::abs(a.offset_step) != 1 || a.results < least)) return false;
  }
  return true;
}

// Lines of blocks are apart by their remainder, as with any step of two. Elements of a line are not:
// places count single columns, an even number of them in each line of the copy.
TapSum blocks_of(const TapSum& sum) {
  TapSum blocks = sum;
  Axis &lines = blocks.axes[1], &columns = blocks.axes[2];
  for (Axis* a : {&lines, &columns}) {
    a->offset = a->lowest();
    a->offset_step = 1;
    a->taps = 4;
  }
  lines.results = (lines.results + 1) / 2;
  lines.step = lines.result_step = 2;
  columns.results = (columns.results + 1) / 2 * 2 - 1;  // up to the left column of the last block
  return blocks;
}

Tile results_of(const TapSum& sum, Tile blocks) {
  blocks.begin[1] *= 2;
  blocks.count[1] = std::min(2 * blocks.count[1], sum.axes[1].results - blocks.begin[1]);
  blocks.count[2] = sum.axes[2].results;
  return blocks;
}

template <class T>
void pack_blocks(const TapSum& sum, const Weights<T>& weights, T* to) {
  constexpr std::int64_t most = 16, size = 9;  // channels at a time, elements of a filter
  const bool flipped = sum.axes[2].offset_step < 0;
  T taps[size * most * kPanel];
  for (std::int64_t first = 0; first < weights.results; first += kPanel) {
    const std::int64_t rows = std::min(kPanel, weights.results - first), step = sum.channels * rows;
    for (std::int64_t s = 0; s < sum.channels; s += most) {
      const std::int64_t end = std::min(s + most, sum.channels), n = (end - s) * rows;
      T* next = taps;
      for (std::int64_t c = s; c < end; ++c)
        for (std::int64_t r = 0; r < rows; ++r, ++next) {
          const T* at = weights.at(first + r, c);
          for (std::int64_t k = 0; k < size; ++k) next[k * n] = at[flipped ? size - 1 - k : k];
        }
      TransformTaps<T>::here(taps, n, step, to + s * rows);
    }
    to += kProducts * step;
  }
}

namespace {

// Patches side by side in a block: n of a line of them, from the first-th on, at `column`.
struct Piece {
  const Run* line;
  std::int64_t first, n, column;
};

// The patches from `begin` to `end` of all lines, of which each has `length`.
void find_pieces(const detail::PooledVector<Run>& lines, std::int64_t length, std::int64_t begin,
                 std::int64_t end, detail::PooledVector<Piece>& pieces) {
  pieces.clear();
  for (std::int64_t at = begin; at < end; at += pieces.back().n)
    pieces.push_back({&lines[static_cast<std::size_t>(at / length)], at % length,
                      std::min(length - at % length, end - at), at - begin});
}

}  // namespace

template <class T>
bool run_block_tile(const TapSum& blocks, const Tile& tile, const T* source, const T* panels,
                    const T* bias, std::int64_t results, T* out) {
  const Copy copy(blocks.axes, tile);
  Buffer<T> from(copy.elements(blocks.channels));
  fill_copy(blocks, tile, copy, source, from.data());
  if (!moderate(from.data(), copy.elements(blocks.channels))) return false;
  const detail::PooledVector<Run> runs = runs_of(blocks, tile, copy);
  detail::PooledVector<std::int64_t> taps, offsets;
  blocks.for_each_tap(copy, {1, 1, 1}, [&](std::int64_t, std::int64_t at) { taps.push_back(at); });
  const std::int64_t line[] = {taps[0], taps[4], taps[8], taps[12]};
  for (std::int64_t c = 0; c < blocks.channels; ++c) offsets.push_back(c * kTapColumns);
  // The gap keeps the 16 parts of a channel off the same lines of the first cache, and has room for
  // the patches that fill the last register.
  const std::int64_t step = blocks.channels * kTapColumns + kTapLanes;
  Buffer<T> patches(kProducts * step);
  alignas(64) T sums[kProducts * kPanel * kTapColumns + kTapLanes];
  const std::int64_t height = blocks.result_size[1], width = blocks.result_size[2];
  const std::int64_t length = (tile.count[2] + 1) / 2,
                     all = static_cast<std::int64_t>(runs.size()) * length;
  detail::PooledVector<Piece> pieces;
  for (std::int64_t begin = 0; begin < all; begin += kTapColumns) {
    const std::int64_t columns = std::min(kTapColumns, all - begin);
    find_pieces(runs, length, begin, begin + columns, pieces);
    for (std::int64_t c = 0; c < blocks.channels; ++c)
      for (const Piece& p : pieces)
        TransformPatches<T>::here(from.data() + c * copy.channel + p.line->place + 2 * p.first,
                                  line, p.n, step, patches.data() + c * kTapColumns + p.column);
    for (std::int64_t first = 0; first < results; first += kPanel) {
      const std::int64_t rows = std::min(kPanel, results - first);
      for (std::int64_t k = 0; k < kProducts; ++k)
        SumTaps<T>::here(panels + (first * kProducts + k * rows) * blocks.channels, rows,
                         offsets.data(), blocks.channels, patches.data() + k * step, columns,
                         sums + k * kPanel * kTapColumns);
      for (const Piece& p : pieces)
        TransformSums<T>::here(
            sums + p.column, kPanel * kTapColumns, rows, bias ? bias + first : nullptr,
            std::min(2 * p.n, width - 2 * p.first),
            std::min<std::int64_t>(2, height - p.line->at / width % height), width,
            blocks.result_channel, out + p.line->at + 2 * p.first + first * blocks.result_channel);
    }
  }
  return true;
}

#define XGRAD_WINOGRAD(T)                                                                \
  template bool goes_by_blocks<T>(const TapSum&, std::int64_t);                          \
  template void pack_blocks(const TapSum&, const Weights<T>&, T*);                       \
  template bool run_block_tile(const TapSum&, const Tile&, const T*, const T*, const T*, \
                               std::int64_t, T*);
XGRAD_WINOGRAD(float)
XGRAD_WINOGRAD(double)
#undef XGRAD_WINOGRAD

}  // namespace autograd::kernels
