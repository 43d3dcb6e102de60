#include <algorithm>
#include <cstring>

#include "autograd/ops.hpp"
#include "autograd/ops/internal.hpp"

namespace autograd {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// A shape seen from one axis: (outer, n, inner).
struct Split {
  std::int64_t outer = 1, n = 1, inner = 1;
  Split(const Shape& s, std::int64_t axis) {
    for (std::size_t i = 0; i < s.size(); ++i) {
      if (static_cast<std::int64_t>(i) == axis)
        n = s[i];
      else
        (static_cast<std::int64_t>(i) < axis ? outer : inner) *= s[i];
    }
  }
};

Shape with_size(Shape s, std::int64_t axis, std::int64_t n) {
  s[at(axis)] = n;
  return s;
}

// Entries start + i * step of an axis, and the transpose: zeros with the entries put back.
struct Slice {
  std::int64_t axis, start, step, length;
  Shape whole;
  bool put;

  std::string_view name() const { return put ? "slice_transpose" : "slice"; }
  TensorSpec infer(const Inputs& in) const {
    return {put ? whole : with_size(whole, axis, length), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const Split s(whole, axis);
    const auto bytes = at(s.inner) * size_of(out.dtype());
    const auto* from = static_cast<const char*>(in[0].raw());
    auto* to = static_cast<char*>(out.raw_mutable());
    if (put) std::memset(to, 0, at(out.numel()) * size_of(out.dtype()));
    if (step == 1) {
      const auto part = at(length) * bytes;
      for (std::int64_t o = 0; o < s.outer; ++o) {
        const auto big = at(o * s.n + start) * bytes, small = at(o) * part;
        std::memcpy(to + (put ? big : small), from + (put ? small : big), part);
      }
      return;
    }
    for (std::int64_t o = 0; o < s.outer; ++o)
      for (std::int64_t i = 0; i < length; ++i) {
        const auto big = at(o * s.n + start + i * step) * bytes, small = at(o * length + i) * bytes;
        std::memcpy(to + (put ? big : small), from + (put ? small : big), bytes);
      }
  }
  TensorList backward(const Call& call) const {
    Slice transposed = *this;
    transposed.put = !put;
    return {apply(transposed, call.grad())};
  }
};

// The indices as positions in [0, n), checked.
std::vector<std::int64_t> positions(std::string_view op, const Tensor& index, std::int64_t n) {
  std::vector<std::int64_t> p = index.to_vector<std::int64_t>();
  for (auto& i : p) {
    if (i < -n || i >= n)
      fail(op, "indices must be in [{}, {}] for an axis of size {}, got {}", -n, n - 1, n, i);
    if (i < 0) i += n;
  }
  return p;
}

void check_index(std::string_view op, const Tensor& index) {
  if (index.dtype() != int64) fail(op, "the index must be int64, got {}", name(index.dtype()));
}

// Rows `index` of an axis, and the transpose: zeros with the rows added.
struct IndexSelect {
  std::int64_t axis;
  Shape whole;
  bool add;
  std::shared_ptr<const std::vector<std::int64_t>> index;

  std::string_view name() const { return add ? "index_add_zeros" : "index_select"; }
  TensorSpec infer(const Inputs& in) const {
    return {add ? whole : with_size(whole, axis, static_cast<std::int64_t>(index->size())),
            in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const Split s(whole, axis);
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
  std::shared_ptr<const std::vector<std::int64_t>> index;

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
  const std::int64_t n = whole.empty() ? 1 : whole[at(axis)];
  return {axis, whole, index.shape(), add,
          std::make_shared<const std::vector<std::int64_t>>(positions(name, index, n))};
}

void check_has_axis(std::string_view op, const Tensor& x) {
  if (x.ndim() == 0) fail(op, "the tensor must have an axis, got a 0-d tensor");
}

}  // namespace

Tensor narrow(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t length) {
  check_has_axis("narrow", x);
  axis = shapes::axis("narrow", axis, x.shape());
  const std::int64_t n = x.shape()[at(axis)];
  const std::int64_t from = start < 0 ? start + n : start;
  if (from < 0 || length < 0 || from > n || length > n - from)
    fail("narrow", "start and length must lie in axis {} of {}, got start {} and length {}", axis,
         x.shape(), start, length);
  return apply(Slice{axis, from, 1, length, x.shape(), false}, x);
}

Tensor slice(const Tensor& x, std::int64_t axis, std::int64_t start, std::int64_t stop,
             std::int64_t step) {
  check_has_axis("slice", x);
  if (step == 0) fail("slice", "the step must not be 0, got 0");
  axis = shapes::axis("slice", axis, x.shape());
  const std::int64_t n = x.shape()[at(axis)];
  // Python's rules: with a negative step the bounds are clipped to [-1, n - 1].
  const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  auto clip = [&](std::int64_t i) { return std::clamp(i < 0 ? i + n : i, low, high); };
  const std::int64_t first = clip(start);
  std::int64_t end = clip(stop);
  // The default stop means the end of the axis in the direction of the step.
  if (stop == std::numeric_limits<std::int64_t>::max() && step < 0) end = -1;
  const std::int64_t span = step > 0 ? end - first : first - end, stride = step > 0 ? step : -step;
  const std::int64_t length = span <= 0 ? 0 : (span - 1) / stride + 1;
  return apply(Slice{axis, first, step, length, x.shape(), false}, x);
}

Tensor select(const Tensor& x, std::int64_t axis, std::int64_t index) {
  check_has_axis("select", x);
  axis = shapes::axis("select", axis, x.shape());
  const std::int64_t n = x.shape()[at(axis)];
  if (index < -n || index >= n)
    fail("select", "the index must be in [{}, {}] for axis {} of {}, got {}", -n, n - 1, axis,
         x.shape(), index);
  return squeeze(narrow(x, axis, index, 1), axis);
}

Tensor index_select(const Tensor& x, std::int64_t axis, const Tensor& index) {
  check_has_axis("index_select", x);
  check_index("index_select", index);
  if (index.ndim() != 1)
    fail("index_select", "the index must have one axis, got shape {}", index.shape());
  axis = shapes::axis("index_select", axis, x.shape());
  auto p = positions("index_select", index, x.shape()[at(axis)]);
  return apply(IndexSelect{axis, x.shape(), false,
                           std::make_shared<const std::vector<std::int64_t>>(std::move(p))},
               x);
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

}  // namespace autograd
