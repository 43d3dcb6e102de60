#pragma once

#include <cstdint>

#include "autograd/tape/internal/tape.hpp"

/// What operations with kernels of their own for value and first derivative share. Each carries its
/// formula in plain operations, which tests compare it with and higher orders differentiate.
namespace autograd::internal {

template <class T>
const T* in_ptr(const Tensor& t) {
  return static_cast<const T*>(t.raw());
}
template <class T>
T* out_ptr(Tensor& t) {
  return static_cast<T*>(t.raw_mutable());
}

/// Rows of the last axis.
inline std::int64_t last(const Tensor& t) { return t.ndim() == 0 ? 1 : t.size(-1); }
inline std::int64_t rows(const Tensor& t) { return last(t) == 0 ? 0 : t.numel() / last(t); }

}  // namespace autograd::internal
