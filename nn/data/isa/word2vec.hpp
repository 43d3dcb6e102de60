#pragma once

#include <cstdint>

#include "autograd/core/kernel.hpp"

/// The inner loop of word2vec.
namespace nn::data {

namespace kernels = autograd::kernels;

/// A step along the gradient of -log σ(u₀·h) - Σ log σ(-uₖ·h), where uₖ are different rows `rows[k]`
/// of `table` (…, n), k < count ≤ 64: the rows are changed, and lr times what h should change by is
/// written to `change`. All is computed from the values before.
struct NegativeSampling
    : kernels::Kernel<NegativeSampling, kernels::Whole,
                      void(const float* h, float* table, const std::int32_t* rows, int count,
                           float lr, float* change, std::int64_t n)> {};

/// y += factor · x.
struct AddScaled : kernels::Kernel<AddScaled, kernels::Whole,
                                   void(const float* x, float factor, float* y, std::int64_t n)> {};

}  // namespace nn::data
