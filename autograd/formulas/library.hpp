#pragma once

#include <cstdint>

#include "autograd/core/version.hpp"

// Flags of the compiler that let it change what floating-point arithmetic gives, where it tells of
// them: clang does not of -funsafe-math-optimizations and of the parts of it.
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    defined(__NO_SIGNED_ZEROS__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#define XGRAD_FAST_MATH 1
#else
#define XGRAD_FAST_MATH 0
#endif

#pragma GCC visibility push(default)

/// The rows of elementwise.def as the library has compiled them. A program that is compiled with
/// -ffast-math, or a part of it, takes them from here: compiled along with it, steps whose only use
/// is a rounding would go, and NaN would not be known.
namespace autograd::simd {

/// The rows by their names, in the order of the file.
enum class Row {
#define PRIMITIVE(name, ...) name,
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#define COMPARE(name, ...) name,
#include "autograd/formulas/elementwise.def"
  count
};

/// Instead of an input's number: the value, and not the gradient of an input.
inline constexpr int kValue = -1;

/// A row that is no comparison on `n` elements, float64 if `wide` and float32 otherwise. `operands`
/// are the row's; for a gradient the cotangent before them and the result after them. `out` may be
/// one of them. No shape is checked.
void run_row(Row row, int input, bool wide, const void* const* operands, void* out, std::int64_t n);

}  // namespace autograd::simd

#pragma GCC visibility pop
