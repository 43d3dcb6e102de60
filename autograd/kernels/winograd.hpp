#pragma once

#include "autograd/kernels/tap_sum.hpp"

/// Convolutions of 3 × 3 and stride 1 with 16 products for 2 × 2 results instead of 36 (Winograd;
/// Lavin and Gray 2015). The patches of 4 × 4 that give them are the taps of a convolution with a
/// step of two, so tiles and copies are those of any other.
namespace autograd::kernels {

/// Whether a sum has the sizes for it, and channels enough to pay for the transforms.
template <class T>
bool goes_by_blocks(const TapSum& sum, std::int64_t results);

/// The sum with one result for each block.
TapSum blocks_of(const TapSum& sum);
/// A tile of blocks as one of results.
Tile results_of(const TapSum& sum, Tile blocks);

/// Whether all elements are finite and small enough that no transform or sum overflows.
template <class T>
bool moderate(const T* x, std::int64_t n);

/// The transformed weights: panels of rows, in each (number of the product, channel, row). Weight
/// (result r, source channel s, tap) is at r result_step + s source_step + tap.
template <class T>
void pack_blocks(const TapSum& sum, const T* w, std::int64_t results, std::int64_t result_step,
                 std::int64_t source_step, T* to);

/// A tile of `blocks`, of one group; false, with nothing done, where an element is not `moderate`:
/// it would reach results that do not meet it.
template <class T>
bool run_block_tile(const TapSum& blocks, const Tile& tile, const T* source, const T* panels,
                    const T* bias, std::int64_t results, T* out);

}  // namespace autograd::kernels
