#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/dtype.hpp"
#include "autograd/core/errors.hpp"
#include "autograd/core/shape.hpp"
#include "autograd/core/storage.hpp"

#pragma GCC visibility push(default)

namespace autograd {

class Node;
class Tensor;
void release(Node* node) noexcept;

namespace detail {

/// What a handle points to. Internal: users hold `Tensor`.
struct TensorImpl : Counted {
  TensorImpl(Ref<Storage> s, const Shape& sh, std::int64_t n, DType d)
      : storage(std::move(s)), shape(sh), numel(n), dtype(d) {}
  void set_storage(Ref<Storage> s) {
    if (storage.get() == embedded()) (void)storage.detach();
    // Its own elements it holds already: this reference goes with `s`.
    storage = s.get() == embedded() ? Ref<Storage>::adopt(s.get()) : std::move(s);
    ++replaced;
  }
  /// Another one after every write, and for other elements: what saved values compare.
  std::uint32_t stamp() const { return storage->version() + (std::uint32_t{replaced} << 16); }

  std::uint32_t storage_mark = 0;  // of the storage in its block: see Storage::mark()
  Ref<Storage> storage;
  Ref<Node> node;          // what made it, or its leaf node; empty when no gradient is required
  Ref<Node> resting_leaf;  // of a former leaf
  Shape shape;
  std::int64_t numel;
  std::uint32_t index = 0;  // which output of the node
  DType dtype;
  /// Few elements live in the tensor's block, behind it. A reference to them stays with the tensor
  /// all its life, so the block lives as long as both.
  bool embeds : 1 = false;
  /// Made of what requires a gradient while recording was off: for the error of a backward().
  bool unrecorded : 1 = false;
  std::uint16_t replaced = 0;  // how often it got another storage

  static void* operator new(std::size_t n) { return pool_allocate(n); }
  static void operator delete(void* p, std::size_t n) { pool_deallocate(p, n); }
  friend void release(TensorImpl* t) noexcept {
    if (t->drop()) t->destroy();
  }

 private:
  Storage* embedded() { return embeds ? reinterpret_cast<Storage*>(this + 1) : nullptr; }
  void destroy() noexcept;
};
static_assert(sizeof(TensorImpl) == Storage::kTensorBytes);
static_assert(sizeof(Counted) == 4 && alignof(TensorImpl) == 8);

/// `compile()` records on this thread, and no operation runs: what touches elements now is the
/// program itself.
extern constinit thread_local bool tracing;
void trace_read(const TensorImpl& t);
void trace_write(const TensorImpl& t, bool by_hand);
void trace_asked(const TensorImpl& t);
void trace_compared(const TensorImpl* a, const TensorImpl* b);
void trace_from_program(std::string_view what);

template <class E>
concept XtensorExpression = requires(const E& e) {
  typename E::value_type;
  e.dimension();
  e.shape();
};

}  // namespace detail

namespace indexing {
class Item;
class Part;
}

/// Options of `Tensor::backward`.
struct BackwardOptions {
  bool retain_graph = false;  ///< keep saved values, so that the graph can be walked again
  bool create_graph = false;  ///< record the walk itself, for derivatives of derivatives. The
                              ///< gradients then lead back to their leaves, and keep them until
                              ///< they are cleared: `grad()`, which leaves none behind, does not
};

/// A handle to an n-dimensional array and to its place on the tape. Cheap to copy: copies share the
/// elements. Always contiguous and row-major. A default-constructed handle is undefined.
class Tensor {
 public:
  Tensor() noexcept = default;
  Tensor(const Tensor&) noexcept = default;
  Tensor(Tensor&&) noexcept = default;
  /// The handle moves to another tensor; no element is written.
  Tensor& operator=(const Tensor&) & noexcept = default;
  Tensor& operator=(Tensor&&) & noexcept = default;
  // Nobody could see the result of an assignment to a temporary handle.
  void operator=(const Tensor&) && = delete;  // write by x[0] = v, x[{0, 1}] = v with x not const

  /// From any xtensor container or expression, evaluated now. float, double, bool and 64-bit
  /// integers keep their type; other integers become int64. Needs `autograd/array.hpp`.
  template <class E>
  requires detail::XtensorExpression<E> Tensor(
      const E& expression);  // NOLINT: conversion is the point

  bool defined() const noexcept { return static_cast<bool>(impl_); }
  explicit operator bool() const = delete;

  const Shape& shape() const { return asked("shape").shape; }
  std::int64_t ndim() const { return asked("ndim").shape.ndim(); }
  /// Size of one axis; negative axes count from the end.
  std::int64_t size(std::int64_t axis) const;
  std::int64_t numel() const { return asked("numel").numel; }
  DType dtype() const { return asked("dtype").dtype; }

  /// The single element. Throws unless there is exactly one and T is its dtype.
  template <Element T>
  T item() const;
  /// The single element of any dtype, as a double.
  double item() const;
  /// The elements, to read. Throws unless T is the dtype.
  template <Element T>
  const T* data() const {
    auto* s = checked_storage("data", dtype_of<T>);
    if (detail::tracing) [[unlikely]]
      detail::trace_read(*impl_);
    return static_cast<const T*>(s->data());
  }
  /// The elements, to change. Counts as a write: a backward that needs the old values will throw.
  template <Element T>
  T* mutable_data() {
    auto* s = checked_storage("mutable_data", dtype_of<T>);
    if (detail::tracing) [[unlikely]]
      detail::trace_write(*impl_, true);
    s->bump_version();
    return static_cast<T*>(s->data_to_write());
  }
  /// A zero-copy xtensor view to read, valid while this tensor's storage lives.
  template <Element T>
  auto array() const;
  /// A zero-copy xtensor view to change. Taking it counts as a write; to read a tensor that is not
  /// const without that, call `std::as_const(t).array<T>()`.
  template <Element T>
  auto array();
  /// The elements in row-major order.
  template <Element T>
  std::vector<T> to_vector() const {
    (void)checked("to_vector");
    const T* p = data<T>();
    return std::vector<T>(p, p + numel());
  }

  /// Part of the tensor, as in NumPy: `x[{slice(0, 5), all, -1}]`, `x[0]`, `x[mask]`. A copy;
  /// differentiable. See `namespace indexing` in `autograd/ops/indexing/indexing.hpp`, which this
  /// needs.
  Tensor operator[](std::initializer_list<indexing::Item> items) const&;
  Tensor operator[](const indexing::Item& item) const&;
  /// The same of a tensor that is not const, where an assignment writes: `x[0] = v`, `x[mask] +=
  /// 1`, see `indexing::Part`.
  indexing::Part operator[](std::initializer_list<indexing::Item> items) &;
  indexing::Part operator[](const indexing::Item& item) &;

  // --- differentiation ---

  bool requires_grad() const { return static_cast<bool>(asked("requires_grad").node); }
  /// Makes a leaf whose gradient backward() collects (or, with false, takes it off the tape).
  /// Returns this tensor. Throws for int64 and bool, and for `false` on the result of a recorded
  /// operation.
  Tensor requires_grad_(bool on = true);
  /// True unless a recorded operation made it.
  bool is_leaf() const;
  /// Name of the recorded operation that made it; empty for a leaf.
  std::string_view op_name() const;
  /// The gradient collected by backward(); undefined before the first. Leaves, and tensors with
  /// retain_grad(), have one.
  Tensor grad() const;
  /// Replaces the gradient; an undefined tensor clears it. Shape and dtype must be this tensor's.
  void set_grad(const Tensor& gradient);
  void zero_grad() {
    (void)checked("zero_grad");
    set_grad(Tensor());
  }
  /// Makes backward() keep the gradient of this intermediate result.
  void retain_grad();
  /// Calls `hook` with this tensor's whole gradient during each backward; a defined result replaces
  /// the gradient. Returns an id for `remove_hook`. The hook may do what it likes to the tensor:
  /// one that `set_data()` or `requires_grad_(false)` has changed gets no gradient from the walk
  /// under way. It runs on the thread that walks, without recording unless under `create_graph`. It
  /// lives as long as the tensor, so a hook that captures a handle to its own tensor keeps both for
  /// ever: capture `t.detach()` for the elements, or a reference where the handle outlives the
  /// hook, or remove the hook.
  std::uint64_t register_hook(std::function<Tensor(const Tensor&)> hook);
  /// Removes a hook; an id that is not there does nothing.
  void remove_hook(std::uint64_t id);

  /// Adds d(this)/d(leaf) to the gradient of every leaf. `this` must have one element. Threads may
  /// walk graphs of their own that end at leaves they share; every gradient is in the total, in the
  /// order in which they come.
  void backward(BackwardOptions options = {}) const;
  /// The same for any shape, weighted by the cotangent `gradient` (of this tensor's shape).
  void backward(const Tensor& gradient, BackwardOptions options = {}) const;

  /// The same elements, off the tape.
  Tensor detach() const;
  /// A copy of the elements; differentiable.
  Tensor clone() const;
  /// The elements in another dtype (this tensor if it has it already). Differentiable between
  /// float32 and float64. Floats become int64 by truncation, which throws for NaN and for what is
  /// beyond int64, and bool by `!= 0`.
  Tensor to(DType dtype) const;
  /// Overwrites the elements with those of `source` (same shape; converted to this dtype). Not
  /// recorded: throws on a tensor that a recorded operation made.
  void copy_(const Tensor& source);
  /// Makes this very tensor hold the elements, shape and dtype of `source`, for every handle to it.
  /// A leaf stays a leaf and loses its gradient and its hooks.
  void set_data(const Tensor& source);

  /// True if both handles denote the same tensor.
  bool is(const Tensor& other) const {
    if (detail::tracing) [[unlikely]]
      detail::trace_compared(impl_.get(), other.impl_.get());
    return impl_ == other.impl_;
  }
  /// The number of writes counted since the storage was made.
  std::uint32_t version() const;

  // --- plumbing for operations ---
  explicit Tensor(detail::Ref<detail::TensorImpl> impl) noexcept : impl_(std::move(impl)) {}
  detail::TensorImpl* impl() const noexcept { return impl_.get(); }
  const void* raw() const {
    const auto& t = checked("raw");
    if (detail::tracing) [[unlikely]]
      detail::trace_read(t);
    return t.storage->data();
  }
  void* raw_mutable() {
    const auto& t = checked("raw");
    if (detail::tracing) [[unlikely]]
      detail::trace_write(t, false);
    return t.storage->data_to_write();
  }

 private:
  const detail::TensorImpl& checked(std::string_view what) const {
    if (!impl_) undefined(what);
    return *impl_;
  }
  // The same for what `compile()` has to know of.
  const detail::TensorImpl& asked(std::string_view what) const {
    const auto& t = checked(what);
    if (detail::tracing) [[unlikely]]
      detail::trace_asked(t);
    return t;
  }
  [[noreturn]] static void undefined(std::string_view what);
  detail::Storage* checked_storage(std::string_view what, DType wanted) const {
    const auto& t = checked(what);
    if (t.dtype != wanted) wrong_dtype(what, wanted);
    return t.storage.get();
  }
  [[noreturn]] void wrong_dtype(std::string_view what, DType wanted) const;
  const void* single(DType wanted) const;

  detail::Ref<detail::TensorImpl> impl_;
};

using TensorList = InlineVector<Tensor, 3>;

template <Element T>
T Tensor::item() const {
  return *static_cast<const T*>(single(dtype_of<T>));
}

namespace detail {
template <class T>
using StoredAs = std::conditional_t<std::integral<T> && !std::same_as<T, bool>, std::int64_t, T>;
}

namespace detail {
/// std::uint64_t is the one integer type that does not fit in std::int64_t.
inline std::int64_t to_int64(std::uint64_t value) {
  if (value > static_cast<std::uint64_t>(INT64_MAX))
    fail("Tensor", "unsigned integers must fit in int64, got {}", value);
  return static_cast<std::int64_t>(value);
}
/// As an element of a tensor.
template <class T>
StoredAs<T> stored(T value) {
  if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8)
    return to_int64(value);
  else
    return static_cast<StoredAs<T>>(value);
}
/// `empty`, with the name of `op` in its errors.
Tensor empty_for(std::string_view op, const Shape& shape, DType dtype);
[[noreturn]] void refuse_undefined(std::string_view op, std::size_t input);
}  // namespace detail

/// Uninitialised elements.
Tensor empty(const Shape& shape, DType dtype = float32);
/// `value`, converted to `dtype`; int64 truncates, and throws on what it cannot hold.
Tensor full(const Shape& shape, double value, DType dtype = float32);
Tensor zeros(const Shape& shape, DType dtype = float32);
Tensor ones(const Shape& shape, DType dtype = float32);
/// The same with the shape and dtype of x.
Tensor empty_like(const Tensor& x);
Tensor full_like(const Tensor& x, double value);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
/// A 0-d tensor of the dtype of `x`; for int64 and bool, `value` must be representable.
Tensor scalar_like(double value, const Tensor& x);
/// 1 on the main diagonal of an (n, n) or (n, m) matrix, 0 elsewhere.
Tensor eye(std::int64_t n, DType dtype = float32);
Tensor eye(std::int64_t n, std::int64_t m, DType dtype = float32);

namespace detail {
Tensor arange_of(std::int64_t start, std::int64_t stop, std::int64_t step, DType dtype);
Tensor arange_of(double start, double stop, double step, DType dtype);
Tensor wrap(void* data, const Shape& shape, DType dtype, std::function<void(void*)> release);
void check_memory(std::string_view op, const void* data, const Shape& shape, std::size_t alignment);
// Elements of the program would stay what they were when it was recorded.
inline void refuse_tensor_in_trace() {
  if (tracing) [[unlikely]]
    trace_from_program("tensor()");
}
}

/// 0, 1, …, n - 1.
Tensor arange(std::int64_t n, DType dtype = int64);
/// start, start + step, … before stop. As int64 for integers, else as float32, unless told
/// otherwise. Throws if the step leads away from stop. Floats are computed as start + i · step in
/// double; rounding may let stop in or out, as in NumPy: prefer `linspace`.
template <class A, class B, class S = int>
requires(std::is_arithmetic_v<A>&& std::is_arithmetic_v<B>&& std::is_arithmetic_v<S>) Tensor
    arange(A start, B stop, S step = 1,
           DType dtype = std::integral<A> && std::integral<B> && std::integral<S> ? int64
                                                                                  : float32) {
  using T = std::conditional_t<std::integral<A> && std::integral<B> && std::integral<S>,
                               std::int64_t, double>;
  return detail::arange_of(static_cast<T>(start), static_cast<T>(stop), static_cast<T>(step),
                           dtype);
}
/// n numbers from start to stop, both included, at even distances; one: start. For float32 and
/// float64.
Tensor linspace(double start, double stop, std::int64_t n, DType dtype = float32);
/// base to the powers linspace(start, stop, n).
Tensor logspace(double start, double stop, std::int64_t n, double base = 10, DType dtype = float32);

/// A copy of `shape.numel()` elements at `data`.
template <Element T>
Tensor from_data(const T* data, const Shape& shape) {
  detail::check_memory("from_data", data, shape, alignof(T));
  Tensor t = detail::empty_for("from_data", shape, dtype_of<T>);
  std::copy(data, data + t.numel(), static_cast<T*>(t.raw_mutable()));
  return t;
}
/// The `shape.numel()` elements at `data` themselves, without a copy. `release(data)` is called
/// once, by whichever thread lets go of the last tensor that shares them, gradients and the tape
/// included; without it the memory must outlive them all. Writes through the pointer are not
/// counted: do none between a forward and its backward.
template <Element T>
Tensor from_blob(T* data, const Shape& shape,
                 std::function<void(std::type_identity_t<T>*)> release = {}) {
  detail::check_memory("from_blob", data, shape, alignof(T));
  std::function<void(void*)> erased;
  if (release) erased = [release = std::move(release)](void* p) { release(static_cast<T*>(p)); };
  return detail::wrap(data, shape, dtype_of<T>, std::move(erased));
}

/// A 0-d tensor; the dtype follows the C++ type (double → float64; any integer → int64).
template <class T>
requires std::is_arithmetic_v<T> Tensor tensor(T value) {
  const auto v = detail::stored(value);
  detail::refuse_tensor_in_trace();
  return from_data(&v, {});
}
/// A 1-d tensor: `tensor({1.0, 2.0})`.
template <class T>
requires std::is_arithmetic_v<T> Tensor tensor(std::initializer_list<T> values) {
  detail::refuse_tensor_in_trace();
  Tensor t = detail::empty_for("tensor", {values.size()}, dtype_of<detail::StoredAs<T>>);
  std::ranges::transform(values, static_cast<detail::StoredAs<T>*>(t.raw_mutable()),
                         detail::stored<T>);
  return t;
}
template <class T>
requires std::is_arithmetic_v<T> &&(!std::same_as<T, bool>)Tensor
    tensor(const std::vector<T>& values) {
  detail::refuse_tensor_in_trace();
  Tensor t = detail::empty_for("tensor", {values.size()}, dtype_of<detail::StoredAs<T>>);
  std::ranges::transform(values, static_cast<detail::StoredAs<T>*>(t.raw_mutable()),
                         detail::stored<T>);
  return t;
}
/// A 2-d tensor: `tensor({{1.0, 2.0}, {3.0, 4.0}})`. Rows must have one length.
template <class T>
requires std::is_arithmetic_v<T> Tensor
tensor(std::initializer_list<std::initializer_list<T>> rows) {
  detail::refuse_tensor_in_trace();
  const std::size_t width = rows.size() ? rows.begin()->size() : 0;
  Tensor t = detail::empty_for("tensor", {rows.size(), width}, dtype_of<detail::StoredAs<T>>);
  auto* p = static_cast<detail::StoredAs<T>*>(t.raw_mutable());
  for (const auto& row : rows) {
    if (row.size() != width)
      fail("tensor", "rows must have one length, got {} and {}", width, row.size());
    for (const T value : row) *p++ = detail::stored(value);
  }
  return t;
}

/// The elements as NumPy prints them, with commas; `spec` is a fmt format for each ("" for NumPy's
/// own choice, ".6f", …). More than 1000 elements are summarised.
std::string to_string(const Tensor& t, std::string_view spec = "");
std::ostream& operator<<(std::ostream& os, const Tensor& t);

}  // namespace autograd

/// `fmt::print("{:.3f}", t)`: the format of one element, applied to all.
template <>
struct fmt::formatter<autograd::Tensor> {
  constexpr auto parse(fmt::format_parse_context& ctx) {
    auto it = ctx.begin();
    while (it != ctx.end() && *it != '}') ++it;
    spec = {ctx.begin(), static_cast<std::size_t>(it - ctx.begin())};
    return it;
  }
  auto format(const autograd::Tensor& t, fmt::format_context& ctx) const {
    const std::string text = autograd::to_string(t, spec);
    return std::copy(text.begin(), text.end(), ctx.out());
  }
  std::string_view spec;
};

#pragma GCC visibility pop
