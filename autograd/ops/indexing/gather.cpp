#include <algorithm>
#include <cstring>
#include <limits>

#include "autograd/core/cpu.hpp"
#include "autograd/ops/internal/lines.hpp"
#include "autograd/ops/internal/picks.hpp"
#include "autograd/ops/internal/strided.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using internal::Lines;
using internal::with_size;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

void check_index(std::string_view op, const Tensor& index) {
  if (index.dtype() != int64) fail(op, "the index must be int64, got {}", name(index.dtype()));
}

// Rows of an axis by their positions, the second input, and the transpose: zeros with the rows
// added.
struct IndexSelect {
  std::int64_t axis;
  Shape whole;
  bool add;
  XGRAD_ATTRIBUTES(axis, whole, add)

  std::string_view name() const { return add ? "index_add_zeros" : "index_select"; }
  TensorSpec infer(const Inputs& in) const {
    return {add ? whole : with_size(whole, axis, in[1].numel()), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const Lines s(whole, axis);
    const std::int64_t count = in[1].numel();
    const auto* index = static_cast<const std::int64_t*>(in[1].raw());
    if (add) std::memset(out.raw_mutable(), 0, at(out.numel()) * size_of(out.dtype()));
    dispatch(out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* from = static_cast<const T*>(in[0].raw());
      auto* to = static_cast<T*>(out.raw_mutable());
      for (std::int64_t o = 0; o < s.outer; ++o)
        for (std::int64_t k = 0; k < count; ++k) {
          const std::int64_t big = (o * s.n + index[k]) * s.inner;
          const std::int64_t small = (o * count + k) * s.inner;
          if (add)
            for (std::int64_t i = 0; i < s.inner; ++i)
              to[big + i] = static_cast<T>(to[big + i] + from[small + i]);
          else
            std::copy_n(from + big, s.inner, to + small);
        }
    });
  }
  unsigned saves() const { return save_input(1); }
  TensorList backward(const Call& call) const {
    return {apply(IndexSelect{axis, whole, !add}, call.grad(), call.input(1)), Tensor()};
  }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const {
    const Shape all = internal::with_front(in.samples(), whole);
    if (!in.differs(1)) return in.call(IndexSelect{axis + 1, all, add}, {in[0], in[1]});
    if (axis != 0 || whole.empty()) return {};
    if (!add && !in.differs(0))
      return {in.parted(apply(*this, in[0], flatten(in[1])), in.shape(1).numel())};
    // One table of all samples, whose positions are theirs behind those of the samples before.
    const Tensor first = unsqueeze(arange(in.samples()) * static_cast<double>(whole[0]), 1);
    Shape table(all.begin() + 1, all.end());
    table[0] *= in.samples();
    const Tensor y = apply(IndexSelect{0, table, add}, in.joined(0), flatten(in[1] + first));
    return {in.parted(y, add ? whole[0] : in.shape(1).numel())};
  }
};

// Elements by their positions along an axis, the second input, and the transpose.
struct Gather {
  std::int64_t axis;
  Shape whole, part;
  bool add;
  XGRAD_ATTRIBUTES(axis, whole, part, add)

  std::string_view name() const { return add ? "scatter_add_zeros" : "gather"; }
  TensorSpec infer(const Inputs& in) const { return {add ? whole : part, in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const std::int64_t count = in[1].numel(), length = part.empty() ? 1 : part.back(),
                       lines = length == 0 ? 0 : count / length;
    // Along the last axis a line takes from and adds to one line of the whole, else lines may meet.
    const bool along = axis + 1 >= static_cast<std::int64_t>(whole.size()),
               one_to_one = along && lines > 0 && out.numel() == lines * line_of_whole();
    if (add && !one_to_one)
      std::memset(out.raw_mutable(), 0, at(out.numel()) * size_of(out.dtype()));
    dispatch(out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* from = static_cast<const T*>(in[0].raw());
      auto* to = static_cast<T*>(out.raw_mutable());
      const auto* index = static_cast<const std::int64_t*>(in[1].raw());
      auto run = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t line = begin; line < end; ++line) {
          const Place p = place_of(line);
          if (add && one_to_one) std::fill_n(to + p.base, line_of_whole(), T(0));
          for (std::int64_t j = 0, small = line * length; j < length; ++j, ++small) {
            const std::int64_t big = p.base + index[small] * p.stride + (along ? 0 : j);
            if (add)
              to[big] = static_cast<T>(to[big] + from[small]);
            else
              to[small] = from[big];
          }
        }
      };
      const double cost = static_cast<double>(length + (add ? line_of_whole() : 0));
      if (add && !one_to_one)
        run(0, lines);
      else
        parallel_for(lines, 1, cost, run);
    });
  }
  unsigned saves() const { return save_input(1); }
  TensorList backward(const Call& call) const {
    return {apply(Gather{axis, whole, part, !add}, call.grad(), call.input(1)), Tensor()};
  }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const {
    if (whole.empty()) return {};
    const std::int64_t n = in.samples();
    return in.call(
        Gather{axis + 1, internal::with_front(n, whole), internal::with_front(n, part), add},
        {in.whole(0), in.whole(1)});
  }

 private:
  struct Place {
    std::int64_t base, stride;  // where a line begins in `whole`, and a step of the indexed axis
  };
  std::int64_t line_of_whole() const { return whole.empty() ? 1 : whole.back(); }
  Place place_of(std::int64_t line) const {
    Place p{0, 1};
    std::int64_t stride = line_of_whole();
    for (std::size_t d = whole.size(); d-- > 1; stride *= whole[d - 1]) {
      const bool indexed = static_cast<std::int64_t>(d - 1) == axis;
      if (indexed) p.stride = stride;
      if (!indexed) p.base += line % part[d - 1] * stride;
      line /= part[d - 1];
    }
    return p;
  }
};

// The operation and its positions.
template <class Op>
struct Picking {
  Op op;
  Tensor positions;
  Tensor operator()(const Tensor& x) const { return apply(op, x, positions); }
};
using GatherCall = Picking<Gather>;
using RowCall = Picking<IndexSelect>;

GatherCall gather_call(std::string_view name, const Shape& whole, std::int64_t axis,
                       const Tensor& index, bool add, const IndexOptions& options = {}) {
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
  return {{axis, whole, index.shape(), add},
          internal::positions(name, index, whole, axis, options)};
}

// Indices from -n or 0 on, where negative ones count from the end, as positions.
struct FindPositions {
  std::string_view op;
  std::int64_t least, n, axis;
  Shape shape;
  XGRAD_ATTRIBUTES(op, least, n, axis, shape)

  std::string_view name() const { return op; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* index = static_cast<const std::int64_t*>(in[0].raw());
    auto* p = static_cast<std::int64_t*>(out.raw_mutable());
    const auto outside = [&](std::int64_t i) { return i < least || i >= n; };
    bool any = false;  // a loop without an exit, which compilers make vectors of
    for (std::int64_t k = 0; k < out.numel(); ++k) {
      const std::int64_t i = index[k];
      any |= outside(i);
      p[k] = i < 0 ? i + n : i;
    }
    if (any)
      fail(op, "indices must be in [{}, {}] for axis {} of {}, got {}", least, n - 1, axis, shape,
           *std::find_if(index, index + out.numel(), outside));
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// For each of n places the last of the positions that is it, or -1.
struct LastWriter {
  std::int64_t n;
  XGRAD_ATTRIBUTES(n)

  std::string_view name() const { return "scatter"; }
  TensorSpec infer(const Inputs&) const { return {{n}, int64}; }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* place = static_cast<const std::int64_t*>(in[0].raw());
    auto* last = static_cast<std::int64_t*>(out.raw_mutable());
    std::fill_n(last, n, -1);
    for (std::int64_t k = 0; k < in[0].numel(); ++k) last[place[k]] = k;
  }
};

struct OneHot {
  std::int64_t classes;
  XGRAD_ATTRIBUTES(classes)

  std::string_view name() const { return "one_hot"; }
  TensorSpec infer(const Inputs& in) const {
    Shape shape = in[0].shape();
    shape.push_back(classes);
    return {shape, int64};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const auto* label = static_cast<const std::int64_t*>(in[0].raw());
    auto* o = static_cast<std::int64_t*>(out.raw_mutable());
    std::fill_n(o, out.numel(), 0);
    for (std::int64_t i = 0; i < in[0].numel(); ++i) {
      if (label[i] < 0 || label[i] >= classes)
        fail("one_hot", "labels must be in [0, {}), got {}", classes, label[i]);
      o[i * classes + label[i]] = 1;
    }
  }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

void check_mask(std::string_view op, const Tensor& mask) {
  if (mask.dtype() != boolean) fail(op, "the mask must be bool, got {}", name(mask.dtype()));
}

void check_has_axis(std::string_view op, const Tensor& x) {
  if (x.ndim() == 0) fail(op, "the tensor must have an axis, got a 0-d tensor");
}

RowCall row_call(std::string_view op, const Tensor& x, std::int64_t axis, const Tensor& index,
                 const IndexOptions& options = {}) {
  check_has_axis(op, x);
  check_index(op, index);
  if (index.ndim() != 1) fail(op, "the index must have one axis, got shape {}", index.shape());
  axis = shapes::axis(op, axis, x.shape());
  return {{axis, x.shape(), false}, internal::positions(op, index, x.shape(), axis, options)};
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

Tensor positions(std::string_view op, const Tensor& index, const Shape& shape, std::int64_t axis,
                 const IndexOptions& options) {
  const std::int64_t n = shape.empty() ? 1 : shape[at(axis)];
  return apply(FindPositions{op, options.negative ? -n : 0, n, axis, shape}, index);
}

Tensor pick_each(const Tensor& x, std::int64_t axis, const Tensor& positions) {
  return apply(Gather{axis, x.shape(), positions.shape(), false}, x, positions);
}

Tensor pick(const Tensor& x, std::int64_t axis, const Tensor& positions) {
  return apply(IndexSelect{axis, x.shape(), false}, x, positions);
}

}  // namespace internal

Tensor index_select(const Tensor& x, std::int64_t axis, const Tensor& index,
                    const IndexOptions& options) {
  const detail::Named as("index_select");
  return row_call("index_select", x, axis, index, options)(x);
}

Tensor gather(const Tensor& x, std::int64_t axis, const Tensor& index,
              const IndexOptions& options) {
  const detail::Named as("gather");
  return gather_call("gather", x.shape(), axis, index, false, options)(x);
}

Tensor scatter_add_zeros(const Shape& shape, std::int64_t axis, const Tensor& index,
                         const Tensor& source) {
  const detail::Named as("scatter_add_zeros");
  shapes::check("scatter_add_zeros", shape);
  const GatherCall add = gather_call("scatter_add_zeros", shape, axis, index, true);
  if (source.shape() != index.shape())
    fail("scatter_add_zeros", "source and index must have one shape, got {} and {}", source.shape(),
         index.shape());
  return add(source);
}

Tensor take(const Tensor& x, const Tensor& index, const IndexOptions& options) {
  const detail::Named as("take");
  check_index("take", index);
  const Tensor flat = flatten(x);
  const Tensor places = internal::positions("take", flatten(index), flat.shape(), 0, options);
  return reshape(internal::pick(flat, 0, places), index.shape());
}

Tensor take_along_axis(const Tensor& x, const Tensor& index, std::int64_t axis,
                       const IndexOptions& options) {
  const detail::Named as("take_along_axis");
  check_index("take_along_axis", index);
  axis = shapes::axis("take_along_axis", axis, x.shape());
  if (index.ndim() != x.ndim())
    fail("take_along_axis", "the index must have the rank of the tensor, got {} for {}",
         index.shape(), x.shape());
  if (x.ndim() == 0) return gather(x, axis, index, options);
  const Shape common = shapes::broadcast("take_along_axis", with_size(x.shape(), axis, 1),
                                         with_size(index.shape(), axis, 1));
  return gather(expand(x, with_size(common, axis, x.size(axis))), axis,
                expand(index, with_size(common, axis, index.size(axis))), options);
}

Tensor scatter(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source) {
  const detail::Named as("scatter");
  const GatherCall from = gather_call("scatter", x.shape(), axis, index, false);
  const Tensor part = flatten(leading_part("scatter", x, index, source));
  if (part.numel() == 0) return x.clone();
  // Of several elements for one place the last stays.
  const Tensor places = from(reshape(arange(x.numel()), x.shape()));
  const Tensor last = apply(LastWriter{x.numel()}, places), none = last < 0.0;
  const Tensor written = internal::pick(part, 0, where(none, 0.0, last));
  return reshape(where(none, flatten(x), written), x.shape());
}

Tensor scatter(const Tensor& x, std::int64_t axis, const Tensor& index, double value) {
  const detail::Named as("scatter");
  return scatter(x, axis, index, expand(scalar_like(value, x), index.shape()));
}

Tensor scatter_add(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source) {
  const detail::Named as("scatter_add");
  const GatherCall add = gather_call("scatter_add", x.shape(), axis, index, true);
  return x + add(leading_part("scatter_add", x, index, source));
}

Tensor index_add(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& source,
                 double alpha) {
  const detail::Named as("index_add");
  RowCall rows = row_call("index_add", x, axis, index);
  rows.op.add = true;
  internal::check_same_dtype("index_add", x, source);
  const Shape shape = with_size(x.shape(), rows.op.axis, index.numel());
  if (source.shape() != shape)
    fail("index_add", "the source must have shape {}, got {}", shape, source.shape());
  const Tensor sum = rows(source);
  return x + (alpha == 1 ? sum : sum * alpha);
}

Tensor from_rows(const Shape& shape, const Tensor& indices, const Tensor& values) {
  const detail::Named as("from_rows");
  internal::check_defined("from_rows", indices, 0), internal::check_defined("from_rows", values, 1);
  internal::check_floating("from_rows", values);
  shapes::check("from_rows", shape);
  if (shape.empty()) fail("from_rows", "the shape must have an axis, got ()");
  check_index("from_rows", indices);
  if (indices.ndim() != 1)
    fail("from_rows", "the index must have one axis, got shape {}", indices.shape());
  if (const Shape given = with_size(shape, 0, indices.numel()); values.shape() != given)
    fail("from_rows", "values must have shape {}, got {}", given, values.shape());
  const Tensor places = internal::positions("from_rows", indices, shape, 0, {.negative = false});
  if (grad_enabled() && values.requires_grad())
    return apply(IndexSelect{0, shape, true}, values, places);
  return internal::rows_at(values, places, shape);
}

Tensor index_fill(const Tensor& x, std::int64_t axis, const Tensor& index, const Tensor& value) {
  const detail::Named as("index_fill");
  const RowCall rows = row_call("index_fill", x, axis, index);
  const std::int64_t n = x.size(rows.op.axis);
  const Tensor hits =
      apply(IndexSelect{0, {n}, true}, ones({index.numel()}, int64), rows.positions);
  Shape along;
  along.resize(x.shape().size(), 1);
  along[at(rows.op.axis)] = n;
  const Tensor mask = reshape(hits, along) > 0.0;
  return masked_fill(x, mask, value);
}
Tensor index_fill(const Tensor& x, std::int64_t axis, const Tensor& index, double value) {
  const detail::Named as("index_fill");
  return index_fill(x, axis, index, scalar_like(value, x));
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  const detail::Named as("masked_select");
  check_mask("masked_select", mask);
  const Shape whole = shapes::broadcast("masked_select", x.shape(), mask.shape());
  return internal::pick(flatten(expand(x, whole)), 0,
                        flatten(nonzero(flatten(expand(mask, whole)))));
}

Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
  const detail::Named as("masked_fill");
  check_mask("masked_fill", mask);
  if (value.ndim() != 0) fail("masked_fill", "the value must be 0-d, got shape {}", value.shape());
  internal::check_same_dtype("masked_fill", value, x);
  return where(mask, value, x);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  const detail::Named as("masked_fill");
  return masked_fill(x, mask, scalar_like(value, x));
}

Tensor nonzero(const Tensor& x) {
  const detail::Named as("nonzero");
  detail::PooledVector<std::int64_t> places;
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
  const detail::Named as("one_hot");
  if (labels.dtype() != int64)
    fail("one_hot", "labels must be int64, got {}", name(labels.dtype()));
  if (classes == -1) {
    if (labels.numel() == 0)
      fail("one_hot", "the number of classes must be given for no labels, got shape {}",
           labels.shape());
    const auto most = max(labels).item<std::int64_t>();
    if (most < 0 || most == std::numeric_limits<std::int64_t>::max())
      fail("one_hot", "labels must be at least 0 and less than 2^63 - 1, got {}", most);
    classes = most + 1;
  }
  if (classes < 0)
    fail("one_hot", "the number of classes must be at least 0, or -1 to find it, got {}", classes);
  return apply(OneHot{classes}, labels);
}

}  // namespace autograd
