#include <algorithm>
#include <span>

#include "autograd/ops/internal/picks.hpp"
#include "autograd/ops/internal/strided.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using internal::View;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

Tensor sliced(std::string_view op, const Tensor& x, std::int64_t axis, std::int64_t start,
              std::int64_t step, std::int64_t length) {
  View view(x.shape());
  view.slice(at(axis), start, step, length);
  return internal::gather_view(op, x, view);
}

void check_has_axis(std::string_view op, const Tensor& x) {
  if (x.ndim() == 0) fail(op, "the tensor must have an axis, got a 0-d tensor");
}

// The entries of a range on an axis of size n: first, first + step, ….
struct Span {
  std::int64_t first, step, length;
};

// Python's rules: bounds are clipped to [0, n], or to [-1, n - 1] where the step is negative.
Span span(std::string_view op, const indexing::Range& r, std::int64_t n) {
  if (r.step == 0) fail(op, "the step must not be 0, got 0");
  const bool forwards = r.step > 0;
  const std::int64_t low = forwards ? 0 : -1, high = forwards ? n : n - 1;
  auto clip = [&](std::int64_t i) { return std::clamp(i < 0 ? i + n : i, low, high); };
  const std::int64_t first = r.start    ? clip(*r.start)
                             : forwards ? low
                                        : high,
                     stop = r.stop     ? clip(*r.stop)
                            : forwards ? high
                                       : low;
  const std::int64_t distance = forwards ? stop - first : first - stop;
  if (distance <= 0) return {0, 1, 0};
  if (r.step >= distance || r.step <= -distance) return {first, 1, 1};
  return {first, r.step, (distance - 1) / std::abs(r.step) + 1};
}

// How many axes of a tensor an item stands for; an ellipsis: those that are left.
std::int64_t axes_of(const indexing::Item& item) {
  if (const auto* t = item.get<Tensor>()) {
    if (t->dtype() == boolean && t->ndim() > 0) return t->ndim();
    if (t->dtype() == boolean) fail("index", "a mask must have an axis, got a 0-d tensor");
    if (t->dtype() != int64)
      fail("index", "an index must be int64 or bool, got {}", name(t->dtype()));
    return 1;
  }
  return item.get<std::int64_t>() || item.get<indexing::Range>() ? 1 : 0;
}

// An int64 index of one axis of a tensor.
struct AxisIndex {
  std::size_t axis;
  Tensor index;
};

void add_indices(detail::PooledVector<AxisIndex>& out, const Tensor& t, std::size_t axis,
                 const View& view) {
  if (t.dtype() == int64) return out.push_back({axis, t});
  for (std::size_t d = 0; d < t.shape().size(); ++d)
    if (t.shape()[d] != view.sizes[axis + d])
      fail("index", "a mask must have the sizes of its axes, got {} from axis {} on of {}",
           t.shape(), axis, view.sizes);
  const TensorList places = unbind(nonzero(t), 1);
  for (std::size_t d = 0; d < places.size(); ++d) out.push_back({axis + d, places[d]});
}

// What the items of a subscript mean for a shape.
struct Subscript {
  View view;                                  // what integers, slices and new axes choose
  detail::PooledVector<AxisIndex> indices{};  // of axes of the view
  bool in_order = true;                       // the view does not go backwards
  explicit Subscript(const Shape& shape) : view(shape) {}
};

Subscript parse(const Shape& shape, std::span<const indexing::Item> items) {
  std::int64_t left = shape.ndim(), ellipses = 0;
  for (const auto& item : items) {
    left -= axes_of(item);
    ellipses += item.get<indexing::Ellipsis>() != nullptr;
  }
  if (left < 0)
    fail("index", "the entries must stand for at most the {} axes of {}, got entries for {}",
         shape.ndim(), shape, shape.ndim() - left);
  if (ellipses > 1) fail("index", "needs at most one ellipsis, got {}", ellipses);
  Subscript out(shape);
  View& view = out.view;
  detail::PooledVector<std::pair<std::size_t, Tensor>> tensors;
  std::size_t axis = 0;        // of the view
  std::int64_t of_tensor = 0;  // the same axis of the tensor
  for (const auto& item : items) {
    if (const auto* i = item.get<std::int64_t>()) {
      const std::int64_t n = view.sizes[axis];
      if (*i < -n || *i >= n)
        fail("index", "the index must be in [{}, {}] for axis {} of {}, got {}", -n, n - 1,
             of_tensor, shape, *i);
      view.select(axis, *i < 0 ? *i + n : *i);
    } else if (const auto* r = item.get<indexing::Range>()) {
      const Span s = span("index", *r, view.sizes[axis]);
      view.slice(axis++, s.first, s.step, s.length);
      out.in_order &= s.step > 0 || s.length <= 1;
    } else if (item.get<indexing::NewAxis>()) {
      view.sizes.insert(view.sizes.begin() + axis, 1);
      view.strides.insert(view.strides.begin() + axis++, 0);
    } else if (item.get<indexing::Ellipsis>()) {
      axis += at(left);
      of_tensor += left;
    } else {
      tensors.emplace_back(axis, *item.get<Tensor>());
      axis += at(axes_of(item));
    }
    of_tensor += axes_of(item);
  }
  for (const auto& [first, t] : tensors) add_indices(out.indices, t, first, view);
  return out;
}

// What several indices have in common.
struct Together {
  Shape shape;           // to which they broadcast
  bool adjacent = true;  // else their axes come first

  explicit Together(const detail::PooledVector<AxisIndex>& indices) {
    for (std::size_t k = 0; k < indices.size(); ++k) {
      shape = shapes::broadcast("index", shape, indices[k].index.shape());
      adjacent &= k == 0 || indices[k].axis == indices[k - 1].axis + 1;
    }
  }
};

// The entries that several indices, which broadcast, choose together.
Tensor picked(Tensor x, const detail::PooledVector<AxisIndex>& indices) {
  const auto [common, adjacent] = Together(indices);
  Tensor places;
  Axes order;
  for (const auto& [axis, index] : indices) {
    const auto a = static_cast<std::int64_t>(axis);
    const Tensor p = internal::positions("index", expand(index, common), x.shape(), a);
    places = places.defined() ? places * static_cast<double>(x.size(a)) + p : p;
    order.push_back(a);
  }
  std::size_t first = indices[0].axis;
  if (!adjacent) {
    for (std::int64_t a = 0; a < x.ndim(); ++a)
      if (std::find(order.begin(), order.end(), a) == order.end()) order.push_back(a);
    x = permute(x, order);
    first = 0;
  }
  const auto* s = x.shape().begin();
  Shape merged(s, s + first), result = merged;
  merged.push_back(Shape(s + first, s + first + indices.size()).numel());
  result.append(common.begin(), common.end());
  merged.append(s + first + indices.size(), x.shape().end());
  result.append(s + first + indices.size(), x.shape().end());
  return reshape(
      internal::pick(reshape(x, merged), static_cast<std::int64_t>(first), flatten(places)),
      result);
}

Tensor subscript(const Tensor& x, std::span<const indexing::Item> items) {
  const detail::Named as("index");
  const Subscript s = parse(x.shape(), items);
  // All elements in their order need no copy.
  const bool whole = s.in_order && s.view.sizes.numel() == x.numel();
  const Tensor part = whole ? reshape(x, s.view.sizes) : internal::gather_view("index", x, s.view);
  return s.indices.empty() ? part : picked(part, s.indices);
}

// The positions in the flattened tensor of what a subscript picks, in the shape of the part.
Tensor places(const Shape& shape, std::span<const indexing::Item> items) {
  const Subscript s = parse(shape, items);
  const Together together(s.indices);
  // The axes of the result, each with what it adds to a position.
  Shape sizes;
  detail::PooledVector<std::pair<std::size_t, Tensor>> steps;  // by the first of their axes
  const auto add_indices_here = [&] {
    Tensor sum;
    for (const auto& [axis, index] : s.indices) {
      const Tensor p =
          internal::positions("index", index, s.view.sizes, static_cast<std::int64_t>(axis)) *
          static_cast<double>(s.view.strides[axis]);
      sum = sum.defined() ? sum + p : p;
    }
    steps.emplace_back(sizes.size(), expand(sum, together.shape));
    sizes.append(together.shape.begin(), together.shape.end());
  };
  if (!together.adjacent) add_indices_here();
  for (std::size_t axis = 0, next = 0; axis < s.view.sizes.size(); ++axis) {
    if (next < s.indices.size() && s.indices[next].axis == axis) {
      if (next++ == 0 && together.adjacent) add_indices_here();
      continue;
    }
    const std::int64_t n = s.view.sizes[axis];
    steps.emplace_back(sizes.size(), arange(n) * static_cast<double>(s.view.strides[axis]));
    sizes.push_back(n);
  }
  Tensor total = full({}, static_cast<double>(s.view.start), int64);
  for (const auto& [first, step] : steps) {
    Shape aligned = step.shape();
    aligned.resize(sizes.size() - first, 1);
    total = total + reshape(step, aligned);
  }
  return total;
}

// A value as it goes into a part of a tensor x: NumPy lets it have further axes of size 1 in front.
Tensor fitted(std::string_view op, const Tensor& x, Tensor value, const Shape& part) {
  internal::check_same_dtype(op, value, x);
  std::size_t extra = 0;
  while (value.shape().size() - extra > part.size() && value.shape()[extra] == 1) ++extra;
  if (extra) value = reshape(value, Shape(value.shape().begin() + extra, value.shape().end()));
  if (value.shape() == part) return value;
  shapes::check_expand(op, value.shape(), part);
  return expand(value, part);
}

Tensor put(const Tensor& x, std::span<const indexing::Item> items, const Tensor& values,
           bool accumulate) {
  const Tensor at = places(x.shape(), items);
  const Tensor value = flatten(fitted("index_put", x, values, at.shape()));
  const Tensor y = accumulate ? index_add(flatten(x), 0, flatten(at), value)
                              : scatter(flatten(x), 0, flatten(at), value);
  return reshape(y, x.shape());
}

}  // namespace

Tensor narrow(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t length) {
  const detail::Named as("narrow");
  check_has_axis("narrow", x);
  axis = shapes::axis("narrow", axis, x.shape());
  const std::int64_t n = x.shape()[at(axis)];
  const std::int64_t from = start < 0 ? start + n : start;
  if (from < 0 || length < 0 || from > n || length > n - from)
    fail("narrow", "start and length must lie in axis {} of {}, got start {} and length {}", axis,
         x.shape(), start, length);
  return sliced("narrow", x, axis, from, 1, length);
}

Tensor slice(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t stop,
             std::int64_t step) {
  const detail::Named as("slice");
  check_has_axis("slice", x);
  axis = shapes::axis("slice", axis, x.shape());
  indexing::Range range{start, stop, step};
  // The default stop means the end of the axis in the direction of the step.
  if (stop == std::numeric_limits<std::int64_t>::max()) range.stop.reset();
  const Span s = span("slice", range, x.shape()[at(axis)]);
  return sliced("slice", x, axis, s.first, s.step, s.length);
}

Tensor select(const Tensor& x, std::int64_t axis, std::int64_t index) {
  const detail::Named as("select");
  check_has_axis("select", x);
  axis = shapes::axis("select", axis, x.shape());
  const std::int64_t n = x.shape()[at(axis)];
  if (index < -n || index >= n)
    fail("select", "the index must be in [{}, {}] for axis {} of {}, got {}", -n, n - 1, axis,
         x.shape(), index);
  View view(x.shape());
  view.select(at(axis), index < 0 ? index + n : index);
  return internal::gather_view("select", x, view);
}

Tensor index_put(const Tensor& x, std::initializer_list<indexing::Item> items, const Tensor& values,
                 bool accumulate) {
  const detail::Named as("index_put");
  internal::check_defined("index_put", x);
  internal::check_defined("index_put", values);
  return put(x, {items.begin(), items.size()}, values, accumulate);
}
Tensor index_put(const Tensor& x, std::initializer_list<indexing::Item> items, double value,
                 bool accumulate) {
  const detail::Named as("index_put");
  return index_put(x, items, scalar_like(value, x), accumulate);
}

Tensor Tensor::operator[](std::initializer_list<indexing::Item> items) const& {
  return subscript(*this, {items.begin(), items.size()});
}
Tensor Tensor::operator[](const indexing::Item& item) const& {
  return subscript(*this, {&item, 1});
}

// ---------------------------------------------------------------- assignment

indexing::Part Tensor::operator[](std::initializer_list<indexing::Item> items) & {
  const std::span<const indexing::Item> span(items.begin(), items.size());
  return {subscript(*this, span), *this, span};
}
indexing::Part Tensor::operator[](const indexing::Item& item) & {
  return {subscript(*this, {&item, 1}), *this, {&item, 1}};
}

indexing::Part::Part(Tensor part, const Tensor& whole, std::span<const Item> items)
    : Tensor(std::move(part)), whole_(whole), items_(items.begin(), items.end()) {}

indexing::Part& indexing::Part::operator=(const Tensor& other) & {
  Tensor::operator=(other);
  whole_ = Tensor();
  items_.clear();
  return *this;
}

void indexing::Part::write(const Tensor& values) const {
  const char* op = "index";
  if (!whole_.defined()) fail(op, "only a part of a tensor can be written, got a moved handle");
  if (!whole_.is_leaf())
    fail(op,
         "the target of an assignment must not be the result of a recorded operation ({}); use "
         "index_put(), or detach() it first",
         whole_.op_name());
  if (grad_enabled() && values.requires_grad())
    fail(op,
         "the value of an assignment must not require a gradient, which would be lost; use "
         "index_put(), or detach() it first");
  const NoGrad off;
  const Tensor at = places(whole_.shape(), items_);
  const bool shared = values.impl()->storage == whole_.impl()->storage;
  const Tensor value = fitted(op, whole_, shared ? values.clone() : values, at.shape());
  perform(op, {at, value}, {whole_}, [](const TensorList& from, const TensorList& to) {
    Tensor target = to[0];
    dispatch(target.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* place = static_cast<const std::int64_t*>(from[0].raw());
      const auto* v = static_cast<const T*>(from[1].raw());
      auto* p = static_cast<T*>(target.raw_mutable());
      for (std::int64_t k = 0; k < from[0].numel(); ++k) p[place[k]] = v[k];
    });
    target.impl()->storage->bump_version();
  });
}

}  // namespace autograd
