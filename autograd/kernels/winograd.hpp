#pragma once

#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/tap_sum.hpp"

/// Convolutions of 3 × 3 and stride 1 with 16 products for 2 × 2 results instead of 36 (Winograd;
/// Lavin and Gray 2015). The patches of 4 × 4 that give them are the taps of a convolution with a
/// step of two, so tiles and copies are those of any other.
namespace autograd::kernels {

constexpr std::int64_t kProducts = 16;

/// Whether a sum has the sizes for it, and channels enough to pay for the transforms.
template <class T>
bool goes_by_blocks(const TapSum& sum, std::int64_t results);

/// The sum with one result for each block.
TapSum blocks_of(const TapSum& sum);
/// A tile of blocks as one of results.
Tile results_of(const TapSum& sum, Tile blocks);

/// As the kernel says.
template <class T>
bool moderate(const T* x, std::int64_t n) {
  bool all;
  Moderate<T>::here(x, n, &all);
  return all;
}

/// The transformed weights: panels of rows, in each (number of the product, channel, row).
template <class T>
void pack_blocks(const TapSum& sum, const Weights<T>& weights, T* to);

/// A tile of `blocks`, of one group; false, with nothing done, where an element is not `moderate`:
/// it would reach results that do not meet it.
template <class T>
bool run_block_tile(const TapSum& blocks, const Tile& tile, const T* source, const T* panels,
                    const T* bias, std::int64_t results, T* out);

/// The gradient of one group's weight, by the same products.
template <class T>
class BlockCorrelation {
 public:
  BlockCorrelation(const TapSum& sum, std::int64_t results);
  /// Takes a tile of `blocks_of` the sum, of x and y; false, with nothing done, where an element is
  /// not moderate.
  bool add(const Tile& tile, const T* x, const T* y);
  /// Adds the gradient of what was taken to w (results, channels, 3, 3).
  void finish(T* w);

 private:
  void take_line(const T* x, const T* y, std::int64_t n);
  void multiply();

  TapSum sum_, blocks_;
  std::int64_t results_, x_pitch_, y_pitch_;  // with what fills the registers
  std::int64_t parts_, width_;                // of the channels of x
  std::int64_t taken_ = 0;                    // patches
  Buffer<T> x_products_, y_products_, sums_, block_;
  detail::PooledVector<std::int64_t> offsets_;
};

}  // namespace autograd::kernels
