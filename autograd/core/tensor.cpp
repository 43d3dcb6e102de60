#include "autograd/core/tensor.hpp"

#include <cmath>
#include <cstring>
#include <new>

#include "autograd/core/internal/helpers.hpp"
#include "autograd/core/internal/row_blocks.hpp"
#include "autograd/core/trace.hpp"

namespace autograd {

namespace detail {

void TensorImpl::destroy() noexcept {
  Storage* const own = embedded();
  if (!own) {
    delete this;
    return;
  }
  if (storage.get() == own) (void)storage.detach();
  this->~TensorImpl();
  release(own);
}

}  // namespace detail

void Tensor::undefined(std::string_view what) {
  fail(what, "the tensor must be defined, got an undefined one; {}", internal::kUndefinedHint);
}

void Tensor::wrong_dtype(std::string_view what, DType wanted) const {
  fail(what, "the C++ type must be that of the tensor, got {} for a {} tensor", name(wanted),
       name(dtype()));
}

std::int64_t Tensor::size(std::int64_t axis) const {
  if (checked("size").shape.empty()) fail("size", "the tensor must have an axis, got a 0-d tensor");
  return shape()[static_cast<std::size_t>(shapes::axis("size", axis, shape()))];
}

std::uint32_t Tensor::version() const {
  detail::refuse_in_trace("the version() of a tensor", "ask for it outside");
  return checked("version").storage->version();
}

const void* Tensor::single(DType wanted) const {
  const auto& t = checked("item");
  if (t.numel != 1)
    fail("item", "the tensor must have exactly one element, got shape {}; reduce or index it first",
         t.shape);
  if (t.dtype != wanted) wrong_dtype("item", wanted);
  if (detail::tracing) [[unlikely]]
    detail::trace_read(t);
  return t.storage->data();
}

double Tensor::item() const {
  return dispatch(checked("item").dtype,
                  [&](auto t) { return static_cast<double>(item<decltype(t)>()); });
}

void detail::refuse_undefined(std::string_view op, std::size_t i) {
  fail(op, "every input must be defined, got an undefined tensor as input {}; {}", i,
       internal::kUndefinedHint);
}

// ---------------------------------------------------------------- creation

namespace {

detail::TensorImpl* create(const Shape& shape, std::int64_t n, DType dtype) {
  using detail::Storage, detail::TensorImpl;
  const std::size_t bytes = static_cast<std::size_t>(n) * size_of(dtype);
  if (bytes > Storage::kEmbedded) return new TensorImpl(Storage::create(bytes), shape, n, dtype);
  void* block = detail::pool_allocate(sizeof(TensorImpl) + Storage::kSmallHeader + bytes);
  auto* t = ::new (block) TensorImpl(Storage::create_behind(block, bytes), shape, n, dtype);
  t->embeds = true;
  return t;
}

[[noreturn, gnu::cold]] void refuse_memory(std::string_view op, const Shape& shape, std::int64_t n,
                                           DType dtype) {
  fail(op, "memory for the elements must be there, got none for shape {} of {} ({} bytes)", shape,
       name(dtype), static_cast<std::size_t>(n) * size_of(dtype));
}

// n: the number of elements of a valid shape.
Tensor allocate(std::string_view op, const Shape& shape, std::int64_t n, DType dtype) {
  try {
    Tensor t(detail::Ref<detail::TensorImpl>::adopt(create(shape, n, dtype)));
    if (detail::tracing) [[unlikely]]
      detail::trace_created(t);
    return t;
  } catch (const std::bad_alloc&) {
    refuse_memory(op, shape, n, dtype);
  }
}

Tensor full_for(std::string_view op, const Shape& shape, double value, DType dtype) {
  if (dtype == int64 && !(std::abs(value) < 0x1p63))
    fail(op, "the value must fit in int64, got {}", value);
  Tensor t = detail::empty_for(op, shape, dtype);
  internal::fill(t, value);
  return t;
}

Tensor zeros_for(std::string_view op, const Shape& shape, DType dtype) {
  Tensor t = detail::empty_for(op, shape, dtype);
  std::memset(t.raw_mutable(), 0, static_cast<std::size_t>(t.numel()) * size_of(dtype));
  return t;
}

// The tensor whose shape and dtype another one gets.
const detail::TensorImpl& model(std::string_view op, const Tensor& x) {
  internal::check_defined(op, x);
  return *x.impl();
}

}  // namespace

Tensor detail::empty_for(std::string_view op, const Shape& shape, DType dtype) {
  return allocate(op, shape, shapes::check(op, shape), dtype);
}

[[gnu::flatten]] Tensor internal::empty_like(std::string_view op, const detail::TensorImpl& t) {
  return allocate(op, t.shape, t.numel, t.dtype);
}

Tensor detail::empty_as(std::string_view op, const Tensor& t) {
  const TensorImpl& i = *t.impl();
  if (!i.storage->rows()) return allocate(op, i.shape, i.numel, i.dtype);
  Tensor rows(Ref<TensorImpl>::adopt(new TensorImpl(
      Storage::create_rows(i.storage->rows()->format()), i.shape, i.numel, i.dtype)));
  if (tracing) trace_created(rows);
  return rows;
}

Tensor empty(const Shape& shape, DType dtype) { return detail::empty_for("empty", shape, dtype); }
Tensor full(const Shape& shape, double value, DType dtype) {
  return full_for("full", shape, value, dtype);
}
Tensor zeros(const Shape& shape, DType dtype) { return zeros_for("zeros", shape, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return full_for("ones", shape, 1, dtype); }
Tensor empty_like(const Tensor& x) {
  return internal::empty_like("empty_like", model("empty_like", x));
}
Tensor full_like(const Tensor& x, double value) {
  const auto& t = model("full_like", x);
  return full_for("full_like", t.shape, value, t.dtype);
}
Tensor zeros_like(const Tensor& x) {
  const auto& t = model("zeros_like", x);
  return zeros_for("zeros_like", t.shape, t.dtype);
}
Tensor ones_like(const Tensor& x) {
  const auto& t = model("ones_like", x);
  return full_for("ones_like", t.shape, 1, t.dtype);
}

Tensor internal::number_for(std::string_view op, double value, const Tensor& x, std::size_t input) {
  if (!x.defined()) detail::refuse_undefined(op, input);
  const DType d = x.dtype();
  if ((d == int64 && !(value == std::trunc(value) && std::abs(value) < 0x1p63)) ||
      (d == boolean && value != 0 && value != 1))
    fail(op, "the value must be representable in the tensor's dtype, got {} for {}", value,
         name(d));
  Tensor t = empty({}, d);
  fill(t, value);
  return t;
}
Tensor scalar_like(double value, const Tensor& x) {
  return internal::number_for("scalar_like", value, x, 1);
}

Tensor eye(std::int64_t n, DType dtype) { return eye(n, n, dtype); }

Tensor eye(std::int64_t n, std::int64_t m, DType dtype) {
  Tensor t = zeros_for("eye", {n, m}, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* p = static_cast<T*>(t.raw_mutable());
    for (std::int64_t i = 0; i < std::min(n, m); ++i) p[i * (m + 1)] = static_cast<T>(1);
  });
  return t;
}

namespace {

// value(i) for i < n.
template <class F>
Tensor generate(std::string_view op, std::int64_t n, DType dtype, F&& value) {
  Tensor t = detail::empty_for(op, {n}, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* p = static_cast<T*>(t.raw_mutable());
    for (std::int64_t i = 0; i < n; ++i) p[i] = static_cast<T>(value(i));
  });
  return t;
}

void check_number(std::string_view op, DType dtype) {
  if (dtype == boolean) fail(op, "needs a number dtype, got bool");
}

}  // namespace

Tensor arange(std::int64_t n, DType dtype) {
  if (n < 0) fail("arange", "the length must be at least 0, got {}", n);
  check_number("arange", dtype);
  return generate("arange", n, dtype, [](std::int64_t i) { return i; });
}

Tensor detail::arange_of(std::int64_t start, std::int64_t stop, std::int64_t step, DType dtype) {
  check_number("arange", dtype);
  if (step == 0 || (start != stop && (start < stop) != (step > 0)))
    fail("arange", "the step must lead from start to stop, got {} from {} to {}", step, start,
         stop);
  // In unsigned arithmetic: the distance may be more than an int64 holds.
  const auto distance = static_cast<std::uint64_t>(start < stop ? stop : start) -
                        static_cast<std::uint64_t>(start < stop ? start : stop);
  const auto stride =
      step > 0 ? static_cast<std::uint64_t>(step) : -static_cast<std::uint64_t>(step);
  const std::uint64_t n = distance == 0 ? 0 : (distance - 1) / stride + 1;
  return generate("arange", static_cast<std::int64_t>(std::min<std::uint64_t>(n, INT64_MAX)), dtype,
                  [=](std::int64_t i) {
                    return static_cast<std::int64_t>(static_cast<std::uint64_t>(start) +
                                                     static_cast<std::uint64_t>(i) *
                                                         static_cast<std::uint64_t>(step));
                  });
}

Tensor detail::arange_of(double start, double stop, double step, DType dtype) {
  check_number("arange", dtype);
  if (!std::isfinite(start) || !std::isfinite(stop) || !std::isfinite(step) || step == 0 ||
      (stop - start) / step < 0)
    fail("arange", "the step must lead from start to stop, got {} from {} to {}", step, start,
         stop);
  const double n = std::ceil((stop - start) / step);
  if (!(n < 0x1p60)) fail("arange", "the length must fit in memory, got {}", n);
  if (dtype == int64 && (start != std::trunc(start) || step != std::trunc(step) ||
                         !(std::abs(start) + std::abs(stop) < 0x1p53)))
    fail("arange", "start and step must be whole for int64, got {} and {}", start, step);
  return generate("arange", static_cast<std::int64_t>(n), dtype,
                  [=](std::int64_t i) { return start + static_cast<double>(i) * step; });
}

namespace {
Tensor line(std::string_view op, double start, double stop, std::int64_t n, DType dtype) {
  // From both ends, so that both are exact.
  const double step = n > 1 ? (stop - start) / static_cast<double>(n - 1) : 0;
  return generate(op, n, dtype, [=](std::int64_t i) {
    return i < n - n / 2 ? start + static_cast<double>(i) * step
                         : stop - static_cast<double>(n - 1 - i) * step;
  });
}
}  // namespace

Tensor linspace(double start, double stop, std::int64_t n, DType dtype) {
  if (n < 0) fail("linspace", "the length must be at least 0, got {}", n);
  dispatch_floating("linspace", dtype, [](auto) {});
  return line("linspace", start, stop, n, dtype);
}

Tensor logspace(double start, double stop, std::int64_t n, double base, DType dtype) {
  if (n < 0) fail("logspace", "the length must be at least 0, got {}", n);
  dispatch_floating("logspace", dtype, [](auto) {});
  const Tensor exponents = line("logspace", start, stop, n, float64);
  const auto* e = exponents.data<double>();
  return generate("logspace", n, dtype, [=](std::int64_t i) { return std::pow(base, e[i]); });
}

// ---------------------------------------------------------------- memory of the user

void detail::check_memory(std::string_view op, const void* data, const Shape& shape,
                          std::size_t alignment) {
  if (tracing) trace_from_program(op);
  if (shapes::check(op, shape) == 0) return;
  if (!data) fail(op, "the memory must be there, got a null pointer for shape {}", shape);
  if (reinterpret_cast<std::uintptr_t>(data) % alignment)
    fail(op, "the memory must be aligned to {} bytes, got {}", alignment, data);
}

Tensor detail::wrap(void* data, const Shape& shape, DType dtype,
                    std::function<void(void*)> release) {
  const std::int64_t n = shape.numel();
  return Tensor(Ref<TensorImpl>::adopt(new TensorImpl(
      Storage::wrap(data, static_cast<std::size_t>(n) * size_of(dtype), std::move(release)), shape,
      n, dtype)));
}

// ---------------------------------------------------------------- elements

Tensor Tensor::detach() const { return internal::view_as(*this, checked("detach").shape); }

void Tensor::copy_(const Tensor& source) {
  (void)checked("copy_"), (void)source.checked("copy_");
  if (!is_leaf())
    fail("copy_",
         "the target must not be the result of a recorded operation ({}); detach() it first",
         quoted(op_name()));
  if (source.shape() != shape())
    fail("copy_", "shapes must be equal, got {} into {}", source.shape(), shape());
  perform("copy_", {source}, {*this}, [](const TensorList& from, const TensorList& to) {
    Tensor target = to[0];
    internal::convert(from[0], target);
    target.impl()->storage->bump_version();
  });
}

void Tensor::set_data(const Tensor& source) {
  (void)checked("set_data"), (void)source.checked("set_data");
  if (!is_leaf())
    fail("set_data",
         "the target must not be the result of a recorded operation ({}); detach() it first",
         quoted(op_name()));
  detail::refuse_in_trace("set_data()", "use copy_()");
  detail::trace_invalidate(*impl_->storage);
  const bool leaf = requires_grad();
  requires_grad_(false);
  impl_->set_storage(source.impl_->storage);
  impl_->shape = source.shape();
  impl_->numel = source.numel();
  impl_->dtype = source.dtype();
  if (leaf) requires_grad_();
}

namespace internal {

Tensor view_as(const Tensor& t, const Shape& shape) {
  (void)t.shape();  // throws if undefined
  if (shape.size() > shapes::kMostAxes) [[unlikely]]
    shapes::refuse_axes("reshape", shape);
  const auto* i = t.impl();
  Tensor view(detail::Ref<detail::TensorImpl>::adopt(
      new detail::TensorImpl(i->storage, shape, i->numel, i->dtype)));
  if (detail::tracing) [[unlikely]]
    detail::trace_view(view, t);
  return view;
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
        if constexpr (std::same_as<B, bool>) {
          q[i] = p[i] != A{};
        } else {
          if constexpr (std::floating_point<A> && std::integral<B>)
            if (!(p[i] >= A(-0x1p63) && p[i] < A(0x1p63))) [[unlikely]]
              fail("to", "the elements must fit in int64, got {} at element {}", p[i], i);
          q[i] = static_cast<B>(p[i]);
        }
      }
    });
  });
}

void refuse_dtypes(std::string_view op, const Tensor& a, const Tensor& b) {
  fail(op, "dtypes must match, got {} and {}; convert one with .to({})", name(a.dtype()),
       name(b.dtype()), name(b.dtype()));
}

void check_floating(std::string_view op, const Tensor& t) {
  if (!is_floating(t.dtype()))
    fail(op, "needs float32 or float64, got {}; convert with .to(float32)", name(t.dtype()));
}

}  // namespace internal
}  // namespace autograd
