#pragma once

#include <algorithm>
#include <cstdint>

#include "autograd/core/kernel_call.hpp"

/// Many tensors as one list of pieces for the kernels. Only for code that is compiled once.
namespace nn::optim {

/// Elements of a piece at most. Pieces do not depend on anything but the sizes of the tensors, so
/// neither do sums over them.
inline constexpr std::int64_t kChunkSize = 16384;

/// Calls f(offset, size) for each piece of n elements.
template <class F>
void cut(std::int64_t n, F f) {
  for (std::int64_t at = 0; at < n; at += kChunkSize) f(at, std::min(kChunkSize, n - at));
}

struct ByChunks;

}  // namespace nn::optim

template <>
struct autograd::kernels::Cutting<nn::optim::ByChunks> {
  template <class... A, class F, class C, class... Others>
  static void run(F kernel, C* chunks, std::int64_t count, Others... others) {
    double elements = 0;
    for (std::int64_t i = 0; i < count; ++i) elements += static_cast<double>(chunks[i].n);
    // Rough nanoseconds of an element.
    const double cost = 0.2 * elements / static_cast<double>(count);
    parallel_for(count, 1, cost, [&](std::int64_t begin, std::int64_t end) {
      kernel(chunks + begin, end - begin, others...);
    });
  }
};
