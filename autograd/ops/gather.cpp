#include <algorithm>
#include <cstring>

#include "autograd/ops.hpp"
#include "autograd/ops/internal.hpp"
#include "autograd/ops/lines.hpp"
#include "autograd/ops/picks.hpp"
#include "autograd/ops/strided.hpp"

namespace autograd {
namespace {

using internal::Lines;
using internal::with_size;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

void check_index(std::string_view op, const Tensor& index) {
  if (index.dtype() != int64) fail(op, "the index must be int64, got {}", name(index.dtype()));
}

// Rows `index` of an axis, and the transpose: zeros with the rows added.
struct IndexSelect {
  std::int64_t axis;
  Shape whole;
  bool add;
  internal::Positions index;

  std::string_view name() const { return add ? "index_add_zeros" : "index_select"; }
  TensorSpec infer(const Inputs& in) const {
    return {add ? whole : with_size(whole, axis, static_cast<std::int64_t>(index->size())),
            in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const Lines s(whole, axis);
    const auto count = static_cast<std::int64_t>(index->size());
    if (add) std::memset(out.raw_mutable(), 0, at(out.numel()) * size_of(out.dtype()));
    dispatch(out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* from = static_cast<const T*>(in[0].raw());
      auto* to = static_cast<T*>(out.raw_mutable());
      for (std::int64_t o = 0; o < s.outer; ++o)
        for (std::int64_t k = 0; k < count; ++k) {
          const std::int64_t big = (o * s.n + (*index)[at(k)]) * s.inner;
          const std::int64_t small = (o * count + k) * s.inner;
          if (add)
            for (std::int64_t i = 0; i < s.inner; ++i)
              to[big + i] = static_cast<T>(to[big + i] + from[small + i]);
          else
            std::copy_n(from + big, s.inner, to + small);
        }
    });
  }
  TensorList backward(const Call& call) const {
    IndexSelect transposed = *this;
    transposed.add = !add;
    return {apply(transposed, call.grad())};
  }
};

// Element-wise indices along an axis, and the transpose.
struct Gather {
  std::int64_t axis;
  Shape whole, part;
  bool add;
  internal::Positions index;

  std::string_view name() const { return add ? "scatter_add_zeros" : "gather"; }
  TensorSpec infer(const Inputs& in) const { return {add ? whole : part, in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    if (add) std::memset(out.raw_mutable(), 0, at(out.numel()) * size_of(out.dtype()));
    InlineVector<std::int64_t, 8> strides(whole.size(), 1), place(whole.size(), 0);
    for (std::size_t i = whole.size(); i-- > 1;) strides[i - 1] = strides[i] * whole[i];
    dispatch(out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* from = static_cast<const T*>(in[0].raw());
      auto* to = static_cast<T*>(out.raw_mutable());
      std::int64_t base = 0;  // offset in `whole`, without the indexed axis
      for (std::size_t small = 0; small < index->size(); ++small) {
        const std::int64_t big = whole.empty() ? 0 : base + (*index)[small] * strides[at(axis)];
        if (add)
          to[big] = static_cast<T>(to[big] + from[small]);
        else
          to[small] = from[big];
        for (std::size_t d = whole.size(); d-- > 0;) {
          const std::int64_t stride = static_cast<std::int64_t>(d) == axis ? 0 : strides[d];
          base += stride;
          if (++place[d] < part[d]) break;
          base -= stride * part[d];
          place[d] = 0;
        }
      }
    });
  }
  TensorList backward(const Call& call) const {
    Gather transposed = *this;
    transposed.add = !add;
    return {apply(transposed, call.grad())};
  }
};

Gather gather_op(std::string_view name, const Shape& whole, std::int64_t axis, const Tensor& index,
                 bool add) {
  check_index(name, index);
  axis = shapes::axis(name, axis, whole);
  bool fits = index.shape().size() == whole.size();
  for (std::size_t i = 0; fits && i < whole.size(); ++i)
    fits = static_cast<std::int64_t>(i) == axis || index.shape()[i] <= whole[i];
  if (!fits)
    fail(
        name,
        "the index must have the rank of the tensor and be no larger but on axis {}, got {} for {}",
        axis, index.shape(), whole);
  return {axis, whole, index.shape(), add,
          detail::make_pooled<const internal::PositionList>(
              internal::positions(name, index, whole, axis))};
}

// x with the rows `index`, all different, of an axis replaced.
struct IndexPut {
  std::int64_t axis;
  internal::Positions index;

  std::string_view name() const { return "scatter"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const Lines s(out.shape(), axis);
    const auto row = at(s.inner) * size_of(out.dtype());
    const auto* from = static_cast<const char*>(in[1].raw());
    auto* to = static_cast<char*>(out.raw_mutable());
    std::memcpy(to, in[0].raw(), at(out.numel()) * size_of(out.dtype()));
    for (std::int64_t o = 0; o < s.outer; ++o)
      for (const auto i : *index) {
        std::memcpy(to + at(o * s.n + i) * row, from, row);
        from += row;
      }
  }
  TensorList backward(const Call& call) const {
    const Tensor& g = call.grad();
    const Shape rows = with_size(g.shape(), axis, static_cast<std::int64_t>(index->size()));
    return {call.needs(0) ? apply(*this, g, zeros(rows, g.dtype())) : Tensor(),
            call.needs(1) ? apply(IndexSelect{axis, g.shape(), false, index}, g) : Tensor()};
  }
};

void check_mask(std::string_view op, const Tensor& mask) {
  if (mask.dtype() != boolean) fail(op, "the mask must be bool, got {}", name(mask.dtype()));
}

void check_has_axis(std::string_view op, const Tensor& x) {
  if (x.ndim() == 0) fail(op, "the tensor must have an axis, got a 0-d tensor");
}

IndexSelect row_op(std::string_view op, const Tensor& x, std::int64_t axis, const Tensor& index) {
  check_has_axis(op, x);
  check_index(op, index);
  if (index.ndim() != 1) fail(op, "the index must have one axis, got shape {}", index.shape());
  axis = shapes::axis(op, axis, x.shape());
  auto p = internal::positions(op, index, x.shape(), axis);
  return {axis, x.shape(), false, detail::make_pooled<const internal::PositionList>(std::move(p))};
}

// The part of a source that an index of a lesser shape asks for.
Tensor leading_part(std::string_view op, const Tensor& x, const Tensor& index,
                    const Tensor& source) {
  internal::check_same_dtype(op, x, source);
  bool fits = source.ndim() == index.ndim();
  for (std::size_t d = 0; fits && d < index.shape().size(); ++d)
    fits = index.shape()[d] <= source.shape()[d];
  if (!fits)
    fail(op, "the source must be at least as large as the index on each axis, got {} for {}",
         source.shape(), index.shape());
  if (source.shape() == index.shape()) return source;
  internal::View view(source.shape());
  view.sizes = index.shape();
  return internal::gather_view("narrow", source, view);
}

}  // namespace

namespace internal {

PositionList positions(std::string_view op, const Tensor& index, const Shape& shape,
                       std::int64_t axis) {
  const std::int64_t n = shape.empty() ? 1 : shape[at(axis)];
  const auto* first = index.data<std::int64_t>();
  PositionList p(first, first + index.numel());
  for (auto& i : p) {
    if (i < -n || i >= n)
      fail(op, "indices must be in [{}, {}] for axis {} of {}, got {}", -n, n - 1, axis, shape, i);
    if (i < 0) i += n;
  }
  return p;
}

Tensor pick(const Tensor& x, std::int64_t axis, PositionList index) {
  return apply(IndexSelect{axis, x.shape(), false,
                           detail::make_pooled<const internal::PositionList>(std::move(index))},
               x);
}

}  // namespace internal

Tensor index_select(const Tensor& x, std::int64_t axis, const Tensor& index) {
  return apply(row_op("index_select", x, axis, index), x);
}

Tensor gather(const Tensor& x, std::int64_t axis, const Tensor& index) {
  return apply(gather_op("gather", x.shape(), axis, index, false), x);
}

Tensor scatter_add_zeros(const Shape& shape, std::int64_t axis, const Tensor& index,
                         const Tensor& source) {
  const Gather op = gather_op("scatter_add_zeros", shape, axis, index, true);
  if (source.shape() != index.shape())
    fail("scatter_add_zeros", "source and index must have one shape, got {} and {}", source.shape(),
         index.shape());
  return apply(op, source);
}

Tensor take(const Tensor& x, const Tensor& index) {
  check_index("take", index);
  const Tensor flat = flatten(x);
  return reshape(internal::pick(flat, 0, internal::positions("take", index, flat.shape(), 0)),
                 index.shape());
}

Tensor take_along_axis(const Tensor& x, const Tensor& index, std::int64_t axis) {
  check_index("take_along_axis", index);
  axis = shapes::axis("take_along_axis", axis, x.shape());
  if (index.ndim() != x.ndim())
    fail("take_along_axis", "the index must have the rank of the tensor, got {} for {}",
         index.shape(), x.shape());
  if (x.ndim() == 0) return gather(x, axis, index);
  const Shape common = shapes::broadcast("take_along_axis", with_size(x.shape(), axis, 1),
                                         with_size(index.shape(), axis, 1));
  return gather(expand(x, with_size(common, axis, x.size(axis))), axis,
                expand(index, with_size(common, axis, index.size(axis))));
}

Tensor scatter(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source) {
  axis = gather_op("scatter", x.shape(), axis, index, false).axis;
  const Tensor part = leading_part("scatter", x, index, source);
  const Tensor places = gather(reshape(arange(x.numel()), x.shape()), axis, index);
  // Of several elements for one place the last stays.
  internal::PositionList last(at(x.numel()), -1), to, from;
  const auto* p = places.data<std::int64_t>();
  for (std::int64_t k = 0; k < places.numel(); ++k) last[at(p[k])] = k;
  for (std::int64_t i = 0; i < x.numel(); ++i)
    if (last[at(i)] >= 0) {
      to.push_back(i);
      from.push_back(last[at(i)]);
    }
  const IndexPut put{0, detail::make_pooled<const internal::PositionList>(std::move(to))};
  return reshape(apply(put, flatten(x), internal::pick(flatten(part), 0, std::move(from))),
                 x.shape());
}

Tensor scatter(const Tensor& x, std::int64_t axis, const Tensor& index, double value) {
  return scatter(x, axis, index, expand(scalar_like(value, x), index.shape()));
}

Tensor scatter_add(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source) {
  const Gather op = gather_op("scatter_add", x.shape(), axis, index, true);
  return x + apply(op, leading_part("scatter_add", x, index, source));
}

Tensor index_add(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source,
                 double alpha) {
  IndexSelect op = row_op("index_add", x, axis, index);
  op.add = true;
  internal::check_same_dtype("index_add", x, source);
  const Shape rows = with_size(x.shape(), op.axis, index.numel());
  if (source.shape() != rows)
    fail("index_add", "the source must have shape {}, got {}", rows, source.shape());
  const Tensor sum = apply(op, source);
  return x + (alpha == 1 ? sum : sum * alpha);
}

Tensor index_fill(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& value) {
  const IndexSelect op = row_op("index_fill", x, axis, index);
  Shape along;
  along.resize(x.shape().size(), 1);
  along[at(op.axis)] = x.size(op.axis);
  Tensor mask = zeros(along, boolean);
  auto* marks = mask.mutable_data<bool>();
  for (const auto i : *op.index) marks[i] = true;
  return masked_fill(x, mask, value);
}
Tensor index_fill(const Tensor& x, std::int64_t axis, const Tensor& index, double value) {
  return index_fill(x, axis, index, scalar_like(value, x));
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  check_mask("masked_select", mask);
  const Shape whole = shapes::broadcast("masked_select", x.shape(), mask.shape());
  const Tensor marks = expand(mask, whole);
  internal::PositionList index;
  const auto* m = marks.data<bool>();
  for (std::int64_t i = 0; i < marks.numel(); ++i)
    if (m[i]) index.push_back(i);
  return internal::pick(flatten(expand(x, whole)), 0, std::move(index));
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  check_mask("masked_fill", mask);
  if (value.ndim() != 0) fail("masked_fill", "the value must be 0-d, got shape {}", value.shape());
  internal::check_same_dtype("masked_fill", value, x);
  return where(mask, value, x);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  return masked_fill(x, mask, scalar_like(value, x));
}

Tensor nonzero(const Tensor& x) {
  internal::PositionList places;
  dispatch(x.dtype(), [&](auto zero) {
    const auto* p = static_cast<const decltype(zero)*>(x.raw());
    for (std::int64_t i = 0; i < x.numel(); ++i)
      if (p[i] != zero) places.push_back(i);
  });
  Tensor out = empty({static_cast<std::int64_t>(places.size()), x.ndim()}, int64);
  auto* o = static_cast<std::int64_t*>(out.raw_mutable());
  for (std::int64_t place : places) {
    for (std::size_t d = x.shape().size(); d-- > 0; place /= x.shape()[d])
      o[d] = place % x.shape()[d];
    o += x.ndim();
  }
  return out;
}

Tensor one_hot(const Tensor& labels, std::int64_t classes) {
  if (labels.dtype() != int64)
    fail("one_hot", "labels must be int64, got {}", name(labels.dtype()));
  const auto* p = labels.data<std::int64_t>();
  std::int64_t low = 0, high = -1;
  for (std::int64_t i = 0; i < labels.numel(); ++i) {
    low = std::min(low, p[i]);
    high = std::max(high, p[i]);
  }
  if (classes == -1 && high < 0 && low == 0)
    fail("one_hot", "the number of classes must be given for no labels, got shape {}",
         labels.shape());
  const std::int64_t n = classes == -1 ? high + 1 : classes;
  if (n < 0 || low < 0 || high >= n)
    fail("one_hot", "labels must be in [0, {}), got {}", n, low < 0 ? low : high);
  Shape shape = labels.shape();
  shape.push_back(n);
  Tensor out = zeros(shape, int64);
  auto* o = static_cast<std::int64_t*>(out.raw_mutable());
  for (std::int64_t i = 0; i < labels.numel(); ++i) o[i * n + p[i]] = 1;
  return out;
}

}  // namespace autograd
