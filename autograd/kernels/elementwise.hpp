#pragma once

#include "autograd/core/kernel.hpp"
#include "autograd/formulas/library.hpp"

/// The kernels of elementwise.def. Their callers cut the work: they know how operands are
/// broadcast.
namespace autograd::kernels {

using ElementwiseRun = void (*)(const void* f, const void* const* in, const std::int64_t* step,
                                void* out, std::int64_t n);

/// Position of each elementwise operation in the table.
using ElementwiseId = simd::Row;

struct ElementwiseKernels {
  ElementwiseRun value[3] = {};        // float32, float64, int64
  ElementwiseRun gradient[3][2] = {};  // by input, by floating dtype
  ElementwiseRun tangent[2] = {};      // from those of all inputs, then inputs and result
};

/// The table, by ElementwiseId.
struct Elementwise {
  using Type = const ElementwiseKernels*;
};

}  // namespace autograd::kernels
