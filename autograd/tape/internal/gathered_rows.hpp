#pragma once

#include "autograd/core/tensor.hpp"

/// Tables of rows that are made without the rows lying somewhere, not recorded. Internal. A place
/// below 0 leaves its row out; all others are in range.
namespace autograd::internal {

/// Zeros of `shape` plus factors[i] · values[sources[i]] at row places[i], added as they come.
/// `factors` may be undefined: 1.
Tensor gathered_rows(const Tensor& values, const Tensor& places, const Tensor& sources,
                     const Tensor& factors, const Shape& shape);
/// Zeros of `shape` plus values[i][j] at [places[i][j]][j], in row-major order. Of the table those
/// rows are kept that get something.
Tensor scattered_rows(const Tensor& values, const Tensor& places, const Shape& shape);
/// `t` expanded along one axis, as rows that are repeated: elements are made when they are asked
/// for, and as values of `from_rows` they need not be. Undefined where it suits not, or is to be
/// recorded.
Tensor repeated_rows(const Tensor& t, const Shape& shape);
/// The rows of `t`, which is rows, in the other floating dtype.
Tensor rows_as(const Tensor& t, DType dtype);

}  // namespace autograd::internal
