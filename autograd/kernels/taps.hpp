#pragma once

#include "autograd/core/kernel.hpp"

/// Taps, each of which reads one line at a distance of its own: what convolutions (convolution.hpp)
/// and poolings (pooling.hpp) are made of.
namespace autograd::kernels {

/// Columns that `SumTaps` computes together, whole registers of any instruction set, and the most
/// that a register has.
constexpr std::int64_t kTapColumns = 48, kTapLanes = 16;

/// out[r][j] = Σ_k weights[k][r] source[j + offset[k]] for `rows` rows of kTapColumns, of which
/// `columns` are wanted. Reads and writes whole registers. An element is one chain of additions
/// over k.
template <class T>
struct SumTaps : Kernel<SumTaps<T>, Whole,
                        void(const T* weights, std::int64_t rows, const std::int64_t* offset,
                             std::int64_t taps, const T* source, std::int64_t columns, T* out)> {};

/// out[r][k] += Σ_j g[r][j] source[j + offset[k]], with rows of g `pitch` apart; `columns` is a
/// multiple of kTapLanes.
template <class T>
struct CorrelateTaps
    : Kernel<CorrelateTaps<T>, Whole,
             void(const T* g, std::int64_t rows, std::int64_t pitch, const std::int64_t* offset,
                  std::int64_t taps, const T* source, std::int64_t columns, T* out)> {};

/// For n patches of 4 × 4, whose element (i, k) is x[line[i] + 2 j + k]: the 16 numbers
/// out[(4 i + k) step + j] that a convolution of 3 × 3 multiplies for 2 × 2 results, after Winograd
/// (Lavin and Gray 2015, F(2 × 2, 3 × 3)). Reads and writes whole registers.
template <class T>
struct TransformPatches : Kernel<TransformPatches<T>, Whole,
                                 void(const T* x, const std::int64_t* line, std::int64_t n,
                                      std::int64_t step, T* out)> {};

/// For n filters of 3 × 3, whose elements are taps[k n + i]: the 16 numbers out[k step + i] by which
/// those of patches are multiplied.
template <class T>
struct TransformTaps : Kernel<TransformTaps<T>, Whole,
                              void(const T* taps, std::int64_t n, std::int64_t step, T* out)> {};

/// The results of patches that stand side by side in a line, from the sums m[k step + r kTapColumns +
/// patch] of 16 products, and their bias if there is one: for each of `rows` rows one or two `lines`
/// of `length` results, lines `width` and rows `channel` elements apart.
template <class T>
struct TransformSums : Kernel<TransformSums<T>, Whole,
                              void(const T* m, std::int64_t step, std::int64_t rows, const T* bias,
                                   std::int64_t length, std::int64_t lines, std::int64_t width,
                                   std::int64_t channel, T* out)> {};

/// The same numbers for n patches in a line, of which each pixel has `pitch` channels side by side
/// and each line `line` elements: out[k step + patch pitch + channel].
template <class T>
struct TransformPixels : Kernel<TransformPixels<T>, Whole,
                                void(const T* x, std::int64_t line, std::int64_t pitch,
                                     std::int64_t n, std::int64_t step, T* out)> {};

/// The gradient of `TransformSums`: of 16 products from that of 2 × 2 results, laid out likewise.
template <class T>
struct SpreadPixels : Kernel<SpreadPixels<T>, Whole,
                             void(const T* y, std::int64_t line, std::int64_t pitch, std::int64_t n,
                                  std::int64_t step, T* out)> {};

/// out[j pitch + c] = x[c channel_step + j] for n pixels and the first kTapLanes channels, 0 for
/// those that x does not have.
template <class T>
struct ChannelsLast : Kernel<ChannelsLast<T>, Whole,
                             void(const T* x, std::int64_t channel_step, std::int64_t channels,
                                  std::int64_t n, std::int64_t pitch, T* out)> {};

/// Whether the magnitudes of all n elements are less than 2^48: transforms and sums of their
/// products stay finite.
template <class T>
struct Moderate : Kernel<Moderate<T>, Whole, void(const T* x, std::int64_t n, bool* all)> {};

/// Window i of n has the elements x[i stride + tap[k]], of which element 0 of x stands at `first`:
/// the largest, of equal ones the first, of NaNs the last; and where it stands. Of x, `room`
/// elements may be read. Taps are at most 2^24.
template <class T>
struct LargestOfTaps : Kernel<LargestOfTaps<T>, Whole,
                              void(const T* x, const std::int64_t* tap, std::int64_t taps,
                                   std::int64_t stride, std::int64_t n, std::int64_t first,
                                   std::int64_t room, T* y, std::int64_t* indices)> {};

}  // namespace autograd::kernels
