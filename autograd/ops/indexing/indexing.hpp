#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <variant>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Operations that pick elements. For every dtype. A negative index counts from the end; one out of
/// range throws.
namespace autograd {

/// What stands in the brackets of `x[{…}]`, one item for each axis, as in NumPy:
///
///     using namespace ag::indexing;
///     x[{slice(0, 5, 2), all, newaxis, -1}]   // x[0:5:2, :, None, -1]
///     x[{ellipsis, slice(none, none, -1)}]    // x[..., ::-1]
///     x[{mask}], x[{all, index}], x[0]
///
/// An integer drops its axis; axes that no item mentions stay. The basic items take one strided
/// copy. A bool tensor stands for as many axes as it has, and picks the places where it is true; an
/// int64 tensor picks the entries of its axis. Several of them broadcast and pick together; their
/// axes become the axes of the index, in place where they are next to each other, else in front.
/// Integers count as slices there, as in PyTorch.
namespace indexing {

/// An end of a slice that is left open.
inline constexpr std::nullopt_t none = std::nullopt;

/// Entries start, start + step, … before stop, by Python's rules: negative bounds count from the
/// end, bounds beyond it are clipped.
struct Range {
  std::optional<std::int64_t> start{}, stop{};
  std::int64_t step = 1;
};
/// Python's `start:stop:step`. There is no form with one argument: it would read as either bound.
constexpr Range slice(std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                      std::int64_t step = 1) {
  return {start, stop, step};
}

struct NewAxis {};
struct Ellipsis {};
inline constexpr Range all{};          ///< the whole axis, `:`
inline constexpr NewAxis newaxis{};    ///< a new axis of size 1, `None`
inline constexpr Ellipsis ellipsis{};  ///< all axes that the other items leave, `...`

/// One item: an integer, a slice, `newaxis`, `ellipsis`, or a tensor, of which it keeps a handle.
class Item {
 public:
  template <Index I>
  Item(I index) : value_(static_cast<std::int64_t>(index)) {}  // NOLINT: `x[{0, all}]`
  Item(Range range) : value_(range) {}                         // NOLINT
  Item(NewAxis) : value_(newaxis) {}                           // NOLINT
  Item(Ellipsis) : value_(ellipsis) {}                         // NOLINT
  Item(Tensor index) : value_(std::move(index)) {}             // NOLINT

  template <class T>
  const T* get() const {
    return std::get_if<T>(&value_);
  }

 private:
  std::variant<std::int64_t, Range, NewAxis, Ellipsis, Tensor> value_;
};

/// What `x[…]` of a tensor that is not const gives: the part, which is read as any tensor, and on
/// the left of an assignment the elements of x in its place:
///
///     x[0] = v;  x[{all, 1}] = 0;  x[mask] += 1;
///
/// The value is of the dtype of x and broadcasts to the part. It is written in place, as by
/// `copy_()`: counted as a write, never recorded; refused where x is the result of a recorded
/// operation, or where the value requires a gradient (outside NoGrad). `index_put` is the
/// differentiable form. Of several values for one place the last one stays, also of `+=`.
///
/// A part with a name is a handle like any other: `auto row = x[0]; row = v;` moves the handle and
/// writes nothing. It keeps x alive; `Tensor row = x[0]` does not. Two brackets in a row,
/// `x[0][1] = v`, do not compile: write `x[{0, 1}] = v`.
class Part : public Tensor {
 public:
  Part(const Part&) = default;
  Part(Part&&) = default;
  Part& operator=(const Part&) & = default;
  Part& operator=(Part&&) & = default;
  Part& operator=(const Tensor& other) &;

  void operator=(const Tensor& values) && { write(values); }
  void operator=(const Part& values) && { write(values); }
  template <class N>
  requires std::is_arithmetic_v<N>
  void operator=(N number) && { write(like(number)); }
  /// As the assignment, with the values converted to the dtype of x.
  void copy_(const Tensor& values) && { write(values.to(dtype())); }
  void copy_(const Tensor& values) & { Tensor::copy_(values); }
  // What would change a copy that nobody has.
  template <Element T>
  T* mutable_data() && = delete;  // write by x[0] = v, or change x itself
  template <Element T>
  T* mutable_data() & {
    return Tensor::mutable_data<T>();
  }
  void set_data(const Tensor& source) && = delete;  // write by x[0] = v
  void set_data(const Tensor& source) & { Tensor::set_data(source); }
  template <class V>
  void operator+=(const V& v) && {
    write(before() + v);
  }
  template <class V>
  void operator-=(const V& v) && {
    write(before() - v);
  }
  template <class V>
  void operator*=(const V& v) && {
    write(before() * v);
  }
  template <class V>
  void operator/=(const V& v) && {
    write(before() / v);
  }

 private:
  friend class autograd::Tensor;
  Part(Tensor part, const Tensor& whole, std::span<const Item> items);
  Tensor before() const { return detach(); }
  template <class N>
  Tensor like(N number) const {
    if constexpr (std::integral<N>)
      if (dtype() == int64) {
        Tensor t = empty({}, int64);
        *static_cast<std::int64_t*>(t.raw_mutable()) = static_cast<std::int64_t>(number);
        return t;
      }
    return scalar_like(static_cast<double>(number), *this);
  }
  void write(const Tensor& values) const;

  Tensor whole_;
  detail::PooledVector<Item> items_;
};

}  // namespace indexing

/// Options of look-ups by ids.
struct IndexOptions {
  bool negative = true;  ///< -1 is the last entry; false: it throws, as ids of a table should
};

/// `length` entries of one axis from `start`.
Tensor narrow(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t length);
/// Entries start, start + step, … before stop of one axis, with Python's rules (clipped, negative
/// from the end); step may be negative, not 0.
Tensor slice(const Tensor& x, std::int64_t axis, std::int64_t start,
             std::int64_t stop = std::numeric_limits<std::int64_t>::max(), std::int64_t step = 1);
/// One entry of one axis; the axis goes.
Tensor select(const Tensor& x, std::int64_t axis, std::int64_t index);
/// The entries `index` (int64, 1-d) of one axis, in that order; repeated ones add up in the
/// gradient. For ids: `index_select(table, 0, ids, {.negative = false})`.
Tensor index_select(const Tensor& x, std::int64_t axis, const Tensor& index,
                    const IndexOptions& options = {});
/// Elements by their place in the flattened tensor; the result has the shape of `index`.
Tensor take(const Tensor& x, const Tensor& index, const IndexOptions& options = {});
/// out[i][j] = x[index[i][j]][j] for axis 0, and so on (as PyTorch): index is int64, of the rank of
/// x, and no larger than x on the other axes.
Tensor gather(const Tensor& x, std::int64_t axis, const Tensor& index,
              const IndexOptions& options = {});
/// The same with index and x broadcast on the other axes (as NumPy): for the result of an argmax
/// with keepdims, or an argsort.
Tensor take_along_axis(const Tensor& x, const Tensor& index, std::int64_t axis = -1,
                       const IndexOptions& options = {});

/// x with `values`, which broadcast, in the places that `x[{items}]` picks: `index_put(x, {0}, v)`,
/// `index_put(x, {all, index}, v)`. Of several values for one place the last in row-major order
/// stays, and gets the gradient; with `accumulate` the values are added, all of them, to what is
/// there.
Tensor index_put(const Tensor& x, std::initializer_list<indexing::Item> items, const Tensor& values,
                 bool accumulate = false);
Tensor index_put(const Tensor& x, std::initializer_list<indexing::Item> items, double value,
                 bool accumulate = false);

/// x with out[index[i][j]][j] = source[i][j] for axis 0, and so on. The index fits x as in `gather`
/// and is no larger than the source. Of several elements for one place the last in row-major order
/// stays, and gets the gradient.
Tensor scatter(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source);
Tensor scatter(const Tensor& x, std::int64_t axis, const Tensor& index, double value);
/// x with the elements of `source` added in the same places; those for one place add up.
Tensor scatter_add(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source);
/// Zeros of `shape` plus `source` added at `index` of one axis: the transpose of `gather`.
Tensor scatter_add_zeros(const Shape& shape, std::int64_t axis, const Tensor& index,
                         const Tensor& source);
/// x with alpha · source added to the entries `index` (int64, 1-d) of one axis; repeated ones add
/// up.
Tensor index_add(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source,
                 double alpha = 1);
/// A table of `shape` that is `values` (n, rest of the shape) in the rows `indices` (int64, (n,),
/// each in [0, shape[0])), and 0 elsewhere. A row that is given several times is the sum of its
/// values, from 0 on and in their order: so all bits are those of the dense sum, for any number of
/// threads. For float32 and float64. This is what the backward of a lookup returns: the table keeps
/// those rows only, see `autograd/tape/rows.hpp`. Where it is recorded (`values` require a
/// gradient), it is dense, and differentiable to any order.
Tensor from_rows(const Shape& shape, const Tensor& indices, const Tensor& values);
/// x with `value` (a number or 0-d) in the entries `index` (int64, 1-d) of one axis.
Tensor index_fill(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& value);
Tensor index_fill(const Tensor& x, std::int64_t axis, const Tensor& index, double value);

/// The elements where `mask` (bool, broadcast with x) is true, in row-major order; 1-d.
Tensor masked_select(const Tensor& x, const Tensor& mask);
/// x with `value` (a number or 0-d) where `mask` (bool, broadcast with x) is true.
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);
/// Places of the elements that are not zero, as int64 (n, ndim), in row-major order. No gradient.
Tensor nonzero(const Tensor& x);
/// A new last axis of size `classes` that is 1 at the label and 0 elsewhere, as int64; -1: one more
/// than the largest label. Throws on labels out of range. No gradient.
Tensor one_hot(const Tensor& labels, std::int64_t classes = -1);

}  // namespace autograd

#pragma GCC visibility pop

template <>
struct fmt::formatter<autograd::indexing::Part> : fmt::formatter<autograd::Tensor> {};
