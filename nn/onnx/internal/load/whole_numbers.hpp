#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "nn/onnx/internal/load/elements.hpp"

/// Arithmetic of int64 that the operations of autograd have for floats only. Without gradients, and
/// not while `compile()` records, unless it is of shapes and constants.
namespace nn::interpreter {

using OfWholeNumbers = std::int64_t (*)(std::int64_t, std::int64_t);

/// f of each pair of elements; the tensors broadcast. Throws for `op` unless both are int64.
Tensor whole_numbers(std::string_view op, const Tensor& a, const Tensor& b, OfWholeNumbers f);

// Each throws where C++ would not define the result.
std::int64_t divided_towards_zero(std::int64_t a, std::int64_t b);
std::int64_t remainder_of_c(std::int64_t a, std::int64_t b);
std::int64_t remainder_of_python(std::int64_t a, std::int64_t b);
/// aᵇ modulo 2⁶⁴; a negative b gives 0 unless a is ±1.
std::int64_t whole_power(std::int64_t a, std::int64_t b);

}  // namespace nn::interpreter
