#pragma once

#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/reduce.hpp"

namespace autograd::kernels {
namespace cut {

/// Rough nanoseconds of an element of a reduction.
template <class T>
constexpr double kReduced = 0.1 * sizeof(T) / sizeof(float);

template <class T>
using Reduction = void (*)(const T* in, T* out, std::int64_t outer, std::int64_t n,
                           std::int64_t inner, std::int64_t stride);

/// Results that do not depend on each other.
template <class T>
void between_results(Reduction<T> kernel, const T* in, T* out, std::int64_t outer, std::int64_t n,
                     std::int64_t inner, std::int64_t stride) {
  const double each = static_cast<double>(n) * kReduced<T>;
  if (outer == 1)
    parallel_for(inner, 64, each, [=](std::int64_t begin, std::int64_t end) {
      kernel(in + begin, out + begin, 1, n, end - begin, stride);
    });
  else
    parallel_for(
        outer, 1, each * static_cast<double>(inner), [=](std::int64_t begin, std::int64_t end) {
          kernel(in + begin * n * stride, out + begin * inner, end - begin, n, inner, stride);
        });
}

/// One row in blocks of `size` elements, and a rest: calls join(results, count, first) for at most
/// `kMostBlocks` of them, in order. Before the results is room for a number that join may keep.
inline constexpr std::int64_t kMostBlocks = 1024;
template <std::int64_t size, class T, class Join>
void in_blocks(Reduction<T> kernel, const T* in, std::int64_t n, Join join) {
  T room[1 + kMostBlocks];
  T* const results = room + 1;
  for (bool first = true; n > 0; first = false) {
    const std::int64_t blocks = std::min(n / size, kMostBlocks);
    if (blocks > 0)
      parallel_for(blocks, 1, size * kReduced<T>, [&](std::int64_t begin, std::int64_t end) {
        kernel(in + begin * size, results + begin, end - begin, size, 1, 1);
      });
    else
      kernel(in, results, 1, n, 1, 1);
    join(results, std::max<std::int64_t>(blocks, 1), first);
    in += blocks * size;
    n -= blocks > 0 ? blocks * size : n;
  }
}

}  // namespace cut

template <>
struct Cutting<ToOneSum> {
  template <class... A, class T>
  static void run(cut::Reduction<T> kernel, const T* in, T* out, std::int64_t outer, std::int64_t n,
                  std::int64_t inner, std::int64_t stride) {
    // The kernel itself goes by these blocks: with one thread there is nothing to cut.
    if (outer * inner != 1 || n < 64 * kSumBlock || num_threads() == 1)
      return cut::between_results(kernel, in, out, outer, n, inner, stride);
    double total = 0;
    cut::in_blocks<kSumBlock>(kernel, in, n, [&](const T* sums, std::int64_t count, bool) {
      for (std::int64_t b = 0; b < count; ++b) total += static_cast<double>(sums[b]);
    });
    *out = static_cast<T>(total);
  }
};

template <>
struct Cutting<ToOneExtreme> {
  template <class... A, class T>
  static void run(cut::Reduction<T> kernel, const T* in, T* out, std::int64_t outer, std::int64_t n,
                  std::int64_t inner, std::int64_t stride) {
    constexpr std::int64_t block = 16384;
    if (outer * inner != 1 || n < 2 * block)
      return cut::between_results(kernel, in, out, outer, n, inner, stride);
    cut::in_blocks<block>(kernel, in, n, [&](T* results, std::int64_t count, bool first) {
      T* const best = results - 1;
      kernel(first ? results : best, best, 1, first ? count : count + 1, 1, 1);
      *out = *best;
    });
  }
};

}  // namespace autograd::kernels
