#pragma once

#include "nn/io/internal/cpp/writer.hpp"

namespace nn::cpp_out {

/// kernels::sum<N, T>(f): f(0) + f(1) + ….
extern const Kernel kSum;

/// A shape as (outer, n, inner) around an axis.
struct Lines {
  std::int64_t outer = 1, n = 1, inner = 1;
  Lines(const Sizes& shape, std::int64_t axis);
};

}  // namespace nn::cpp_out
