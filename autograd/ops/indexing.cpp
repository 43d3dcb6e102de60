#include <algorithm>
#include <span>

#include "autograd/ops.hpp"
#include "autograd/ops/picks.hpp"
#include "autograd/ops/strided.hpp"

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

// The part that integers, slices and new axes choose, one copy at most. Tensors are put aside.
Tensor basic_part(const Tensor& x, std::span<const indexing::Item> items,
                  detail::PooledVector<AxisIndex>& indices) {
  std::int64_t left = x.ndim(), ellipses = 0;
  for (const auto& item : items) {
    left -= axes_of(item);
    ellipses += item.get<indexing::Ellipsis>() != nullptr;
  }
  if (left < 0)
    fail("index", "the entries must stand for at most the {} axes of {}, got entries for {}",
         x.ndim(), x.shape(), x.ndim() - left);
  if (ellipses > 1) fail("index", "needs at most one ellipsis, got {}", ellipses);
  View view(x.shape());
  detail::PooledVector<std::pair<std::size_t, Tensor>> tensors;
  std::size_t axis = 0;        // of the view
  std::int64_t of_tensor = 0;  // the same axis of x
  bool in_order = true;
  for (const auto& item : items) {
    if (const auto* i = item.get<std::int64_t>()) {
      const std::int64_t n = view.sizes[axis];
      if (*i < -n || *i >= n)
        fail("index", "the index must be in [{}, {}] for axis {} of {}, got {}", -n, n - 1,
             of_tensor, x.shape(), *i);
      view.slice(axis, *i < 0 ? *i + n : *i, 1, 1);
      view.sizes.erase(view.sizes.begin() + axis);
      view.strides.erase(view.strides.begin() + axis);
    } else if (const auto* r = item.get<indexing::Range>()) {
      const Span s = span("index", *r, view.sizes[axis]);
      view.slice(axis++, s.first, s.step, s.length);
      in_order &= s.step > 0 || s.length <= 1;
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
  for (const auto& [first, t] : tensors) add_indices(indices, t, first, view);
  // All elements in their order need no copy.
  const Shape& sizes = view.sizes;
  return in_order && sizes.numel() == x.numel() ? reshape(x, sizes)
                                                : internal::gather_view("index", x, view);
}

// The entries that several indices, which broadcast, choose together.
Tensor picked(Tensor x, detail::PooledVector<AxisIndex> indices) {
  Shape common;
  bool adjacent = true;
  for (std::size_t k = 0; k < indices.size(); ++k) {
    common = shapes::broadcast("index", common, indices[k].index.shape());
    adjacent &= k == 0 || indices[k].axis == indices[k - 1].axis + 1;
  }
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
  detail::PooledVector<AxisIndex> indices;
  const Tensor part = basic_part(x, items, indices);
  return indices.empty() ? part : picked(part, std::move(indices));
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
  return squeeze(narrow(x, axis, index, 1), axis);
}

Tensor Tensor::operator[](std::initializer_list<indexing::Item> items) const {
  return subscript(*this, {items.begin(), items.size()});
}
Tensor Tensor::operator[](const indexing::Item& item) const { return subscript(*this, {&item, 1}); }

}  // namespace autograd
