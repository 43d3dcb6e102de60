#pragma once

#include "autograd/tape/rows.hpp"

#pragma GCC visibility push(default)

namespace autograd::detail {

/// Rows of which several places may share one.
struct SharedRows : RowSpan {
  const std::int64_t* sources = nullptr;  // which of the values row i is; null: the i-th

  /// The offset of row i in the values.
  std::int64_t at(std::int64_t i) const { return (sources ? sources[i] : i) * width; }
};
/// Those of a tensor that is rows as they are kept, to read until it changes.
SharedRows shared_rows_of(const Tensor& t);

}  // namespace autograd::detail

#pragma GCC visibility pop
