#include "autograd/tensor.hpp"

#include <cmath>
#include <cstring>
#include <new>

#include "autograd/ops/internal.hpp"
#include "autograd/tape.hpp"

namespace autograd {

detail::TensorImpl::~TensorImpl() = default;

void Tensor::undefined(std::string_view what) {
  fail(what, "the tensor must be defined, got an undefined one{}",
       what == "item" || what == "shape" ? " (a gradient is undefined before backward())" : "");
}

void Tensor::wrong_dtype(std::string_view what, DType wanted) const {
  fail(what, "the C++ type must be that of the tensor, got {} for a {} tensor", name(wanted),
       name(dtype()));
}

std::int64_t Tensor::size(std::int64_t axis) const {
  if (ndim() == 0) fail("size", "the tensor must have an axis, got a 0-d tensor");
  return shape()[static_cast<std::size_t>(shapes::axis("size", axis, shape()))];
}

const void* Tensor::single(DType wanted) const {
  const auto& t = checked("item");
  if (t.numel != 1)
    fail("item", "the tensor must have exactly one element, got shape {}; reduce or index it first",
         t.shape);
  if (t.dtype != wanted) wrong_dtype("item", wanted);
  return t.storage->data();
}

double Tensor::item() const {
  return dispatch(checked("item").dtype,
                  [&](auto t) { return static_cast<double>(item<decltype(t)>()); });
}

// ---------------------------------------------------------------- creation

Tensor empty(const Shape& shape, DType dtype) {
  const std::int64_t n = shapes::check("empty", shape);
  const std::size_t bytes = static_cast<std::size_t>(n) * size_of(dtype);
  try {
    return Tensor(detail::Ref<detail::TensorImpl>::adopt(
        new detail::TensorImpl(detail::Storage::create(bytes), shape, n, dtype)));
  } catch (const std::bad_alloc&) {
    fail("empty", "memory for the elements must be there, got none for shape {} of {} ({} bytes)",
         shape, name(dtype), bytes);
  }
}

Tensor full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(shape, dtype);
  internal::fill(t, value);
  return t;
}

Tensor zeros(const Shape& shape, DType dtype) {
  Tensor t = empty(shape, dtype);
  std::memset(t.raw_mutable(), 0, static_cast<std::size_t>(t.numel()) * size_of(dtype));
  return t;
}

Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor zeros_like(const Tensor& x) { return zeros(x.shape(), x.dtype()); }
Tensor ones_like(const Tensor& x) { return ones(x.shape(), x.dtype()); }

Tensor scalar_like(double value, const Tensor& x) {
  const DType d = x.dtype();
  if ((d == int64 && !(value == std::trunc(value) && std::abs(value) < 0x1p63)) ||
      (d == boolean && value != 0 && value != 1))
    fail("scalar", "the value must be representable in the tensor's dtype, got {} for {}", value,
         name(d));
  Tensor t = empty({}, d);
  internal::fill(t, value);
  return t;
}

Tensor arange(std::int64_t n, DType dtype) {
  if (n < 0) fail("arange", "the length must be at least 0, got {}", n);
  if (dtype == boolean) fail("arange", "needs a number dtype, got bool");
  Tensor t = empty({n}, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* p = static_cast<T*>(t.raw_mutable());
    for (std::int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(i);
  });
  return t;
}

// ---------------------------------------------------------------- elements

Tensor Tensor::detach() const { return internal::view_as(*this, shape()); }

void Tensor::copy_(const Tensor& source) {
  if (!is_leaf())
    fail("copy_",
         "the target must not be the result of a recorded operation ({}); detach() it first",
         op_name());
  if (source.shape() != shape())
    fail("copy_", "shapes must be equal, got {} into {}", source.shape(), shape());
  internal::convert(source, *this);
  impl_->storage->bump_version();
}

void Tensor::set_data(const Tensor& source) {
  if (!is_leaf())
    fail("set_data",
         "the target must not be the result of a recorded operation ({}); detach() it first",
         op_name());
  const bool leaf = requires_grad();
  impl_->node = {};
  impl_->storage = source.checked("set_data").storage;
  impl_->shape = source.shape();
  impl_->numel = source.numel();
  impl_->dtype = source.dtype();
  if (leaf) requires_grad_();
}

namespace internal {

bool sole_owner(const Tensor& t) {
  return t.impl()->use_count() == 1 && t.impl()->storage->use_count() == 1;
}

Tensor view_as(const Tensor& t, const Shape& shape) {
  (void)t.shape();  // throws if undefined
  const auto* i = t.impl();
  return Tensor(detail::Ref<detail::TensorImpl>::adopt(
      new detail::TensorImpl(i->storage, shape, i->numel, i->dtype)));
}

void fill(Tensor& t, double value) {
  dispatch(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    auto* p = static_cast<T*>(t.raw_mutable());
    std::fill(p, p + t.numel(), static_cast<T>(value));
  });
}

void convert(const Tensor& from, Tensor& to) {
  dispatch(from.dtype(), [&](auto a) {
    dispatch(to.dtype(), [&](auto b) {
      using A = decltype(a);
      using B = decltype(b);
      const auto* p = static_cast<const A*>(from.raw());
      auto* q = static_cast<B*>(to.raw_mutable());
      const std::int64_t n = from.numel();
      for (std::int64_t i = 0; i < n; ++i) {
        if constexpr (std::same_as<B, bool>)
          q[i] = p[i] != A{};
        else
          q[i] = static_cast<B>(p[i]);
      }
    });
  });
}

void check_same_dtype(std::string_view op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype())
    fail(op, "dtypes must match, got {} and {}; convert one with .to({})", name(a.dtype()),
         name(b.dtype()), name(b.dtype()));
}

void check_floating(std::string_view op, const Tensor& t) {
  if (!is_floating(t.dtype()))
    fail(op, "needs float32 or float64, got {}; convert with .to(float32)", name(t.dtype()));
}

}  // namespace internal
}  // namespace autograd
