#pragma once

#include <cstdint>
#include <span>

#include "autograd/tensor.hpp"

namespace nn::data {

/// Uninitialised, of the shape of `n` rows of `source`.
autograd::Tensor empty_rows(const autograd::Tensor& source, std::int64_t n);
/// Copies the rows `indices` of `source` (each in [0, rows)) into `out`, made by `empty_rows`. Any dtype;
/// off the tape.
void copy_rows(const autograd::Tensor& source, std::span<const std::int64_t> indices,
               autograd::Tensor& out);

}  // namespace nn::data
