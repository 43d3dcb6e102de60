#pragma once

#include <cstring>

#include "autograd/core/tensor.hpp"

/// One shape, one dtype and the same bytes.
inline bool same_bits(const autograd::Tensor& a, const autograd::Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(),
                     static_cast<std::size_t>(a.numel()) * autograd::size_of(a.dtype())) == 0;
}
