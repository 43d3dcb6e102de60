#pragma once

#include "autograd/formulas/formulas.hpp"

/// What sums of products are cut into. For files that define kernels.
namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// What of a result is computed in registers: rows, and registers of columns.
#if defined(__AVX512F__)
constexpr int kRows = 8;
#else
constexpr int kRows = 4;
#endif
[[maybe_unused]] constexpr int kWidth = 2;

// `count` elements at p, if they are less than a register; else a register full of them.
template <class T>
Vec<T> get(const T* p, std::int64_t count) {
  return count >= Vec<T>::size ? Vec<T>::load(p) : simd::load_first(p, count);
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA
