#pragma once

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Tensors that are 0 but in some rows, such as the gradient of a lookup in a table. They keep only
/// those rows. `backward()` adds them up as rows, clipping and the optimizers that can step by
/// rows, and whoever asks for elements finds all of them: dense they are made then, once, and stay
/// rows. A write to the elements ends that.
namespace autograd {

/// It keeps rows. Copies, `detach()`, shapes with the same first axis, `to()`, and sums of what
/// `backward()` collects keep them; the results of other operations are dense.
bool is_rows(const Tensor& t);
/// A copy of the places of its rows, rising, each once: int64, (n,). Throws unless `is_rows(t)`,
/// and in functions that `compile()` records, because n depends on elements.
Tensor row_indices(const Tensor& t);
/// A copy of the rows at these places: (n, rest of the shape). Throws likewise. So a hook scales
/// rows: `return from_rows(g.shape(), row_indices(g), row_values(g) * 0.5)`.
Tensor row_values(const Tensor& t);

namespace detail {

/// Rows as they are, for code that goes over them.
struct RowSpan {
  std::int64_t count = 0, width = 0;
  const std::int64_t* places = nullptr;
  void* values = nullptr;  // (count, width)
};
/// Those of a tensor that is rows, to read until it changes.
RowSpan rows_of(const Tensor& t);
/// The same to be changed in place; each handle sees the change after the call of `rows_changed`.
RowSpan rows_to_change(Tensor& t);
void rows_changed(Tensor& t);

}  // namespace detail
}  // namespace autograd

#pragma GCC visibility pop
