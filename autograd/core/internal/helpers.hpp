#pragma once

#include <string_view>

#include "autograd/core/tensor.hpp"

/// Helpers on elements and checks that the whole library shares. Not installed for users.
namespace autograd::internal {

/// A new tensor like `t`, with the name of `op` in its errors.
Tensor empty_like(std::string_view op, const detail::TensorImpl& t);
/// Nobody else can see the elements of `t`.
inline bool sole_owner(const Tensor& t) {
  const auto& storage = *t.impl()->storage;
  return t.impl()->use_count() == 1 && storage.use_count() == 1 && !storage.is_foreign();
}
/// Fills with `value`, converted to the dtype.
void fill(Tensor& t, double value);
/// Converts the elements of `from` into `to`, of the same number of elements.
void convert(const Tensor& from, Tensor& to);
/// A new handle with another shape (same number of elements) on the same storage, off the tape.
Tensor view_as(const Tensor& t, const Shape& shape);
[[noreturn]] void refuse_dtypes(std::string_view op, const Tensor& a, const Tensor& b);
/// Throws unless both tensors have one dtype.
inline void check_same_dtype(std::string_view op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) [[unlikely]]
    refuse_dtypes(op, a, b);
}
/// Throws unless float32 or float64.
void check_floating(std::string_view op, const Tensor& t);
/// Throws unless the tensor is defined.
inline void check_defined(std::string_view op, const Tensor& t, std::size_t input = 0) {
  if (!t.defined()) [[unlikely]]
    detail::refuse_undefined(op, input);
}

/// A number as the 0-d operand of `op` beside x, its input `input`; see `scalar_like`.
Tensor number_for(std::string_view op, double value, const Tensor& x, std::size_t input = 0);

/// Where an undefined tensor mostly comes from.
inline constexpr std::string_view kUndefinedHint =
    "a gradient is undefined before the first backward()";

}  // namespace autograd::internal
