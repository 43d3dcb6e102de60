#include <algorithm>
#include <cstring>

#include "autograd/ops.hpp"
#include "autograd/ops/broadcast.hpp"
#include "autograd/ops/internal.hpp"

namespace autograd {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Reshape {
  Shape to;
  std::string_view name() const { return "reshape"; }
  Tensor view(const Inputs& in) const { return internal::view_as(in[0], to); }
  TensorList backward(const Call& call) const {
    return {reshape(call.grad(), call.input_shape(0))};
  }
};

struct Clone {
  std::string_view name() const { return "clone"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    std::memcpy(out.raw_mutable(), in[0].raw(), index(out.numel()) * size_of(out.dtype()));
  }
  TensorList backward(const Call& call) const { return {call.grad()}; }
};

struct Cast {
  DType from, to;
  std::string_view name() const { return "to"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), to}; }
  void forward(const Inputs& in, Tensor& out) const { internal::convert(in[0], out); }
  TensorList backward(const Call& call) const { return {call.grad().to(from)}; }
};

struct Expand {
  Shape to;
  std::string_view name() const { return "expand"; }
  Tensor view(const Inputs& in) const { return internal::expanded(in[0], to); }
  TensorList backward(const Call& call) const { return {sum_to(call.grad(), call.input_shape(0))}; }
};

// Copies (n, m) to (m, n), a tile at a time so that both sides stay in cache.
template <class T>
void transpose_copy(const T* in, T* out, std::int64_t n, std::int64_t m) {
  constexpr std::int64_t tile = 32;
  for (std::int64_t i = 0; i < n; i += tile)
    for (std::int64_t j = 0; j < m; j += tile)
      for (std::int64_t a = i; a < std::min(i + tile, n); ++a)
        for (std::int64_t b = j; b < std::min(j + tile, m); ++b) out[b * n + a] = in[a * m + b];
}

template <class T>
void permute_copy(const T* in, T* out, const Shape& shape, const Axes& order) {
  // Axes that stay together move as one.
  InlineVector<std::int64_t, 8> strides(shape.size(), 1), sizes, steps;
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  for (const auto axis : order) {
    const std::int64_t n = shape[index(axis)], s = strides[index(axis)];
    if (n == 1) continue;
    if (!sizes.empty() && steps.back() == s * n) {
      sizes.back() *= n;
      steps.back() = s;
    } else {
      sizes.push_back(n);
      steps.push_back(s);
    }
  }
  if (sizes.size() >= 2 && steps.back() != 1 && steps[sizes.size() - 2] == 1 &&
      steps.back() == sizes[sizes.size() - 2]) {
    // The last two axes of the result are a transposed matrix.
    const std::int64_t m = sizes[sizes.size() - 2], n = sizes.back();
    sizes.pop_back(), sizes.pop_back(), steps.pop_back(), steps.pop_back();
    std::int64_t blocks = 1;
    for (const auto s : sizes) blocks *= s;
    InlineVector<std::int64_t, 8> at(sizes.size(), 0);
    std::int64_t offset = 0;
    for (std::int64_t b = 0; b < blocks; ++b, out += n * m) {
      transpose_copy(in + offset, out, n, m);
      for (std::size_t d = sizes.size(); d-- > 0;) {
        offset += steps[d];
        if (++at[d] < sizes[d]) break;
        offset -= steps[d] * sizes[d];
        at[d] = 0;
      }
    }
    return;
  }
  const std::int64_t run = sizes.empty() ? 1 : sizes.back(),
                     step = sizes.empty() ? 1 : steps.back();
  if (!sizes.empty()) sizes.pop_back(), steps.pop_back();
  InlineVector<std::int64_t, 8> at(sizes.size(), 0);
  for (std::int64_t offset = 0;; out += run) {
    const T* p = in + offset;
    if (step == 1)
      std::copy_n(p, run, out);
    else
      for (std::int64_t i = 0; i < run; ++i) out[i] = p[i * step];
    std::size_t d = sizes.size();
    for (;;) {
      if (d == 0) return;
      --d;
      offset += steps[d];
      if (++at[d] < sizes[d]) break;
      offset -= steps[d] * sizes[d];
      at[d] = 0;
    }
  }
}

struct Permute {
  Axes order;
  std::string_view name() const { return "permute"; }
  TensorSpec infer(const Inputs& in) const {
    Shape s;
    for (const auto a : order) s.push_back(in[0].shape()[index(a)]);
    return {s, in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (out.numel() == 0) return;
    dispatch(out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      permute_copy(static_cast<const T*>(in[0].raw()), static_cast<T*>(out.raw_mutable()),
                   in[0].shape(), order);
    });
  }
  TensorList backward(const Call& call) const {
    Axes inverse;
    inverse.resize(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      inverse[index(order[i])] = static_cast<std::int64_t>(i);
    return {permute(call.grad(), inverse)};
  }
};

struct Concat {
  std::int64_t axis;
  InlineVector<std::int64_t, 4> sizes;
  Shape shape;
  std::string_view name() const { return "concat"; }
  TensorSpec infer(const Inputs& in) const { return {shape, in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    std::int64_t outer = 1, inner = 1;
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (static_cast<std::int64_t>(i) != axis)
        (static_cast<std::int64_t>(i) < axis ? outer : inner) *= shape[i];
    const auto bytes = static_cast<std::int64_t>(size_of(out.dtype())) * inner;
    auto* o = static_cast<char*>(out.raw_mutable());
    for (std::int64_t r = 0; r < outer; ++r)
      for (std::size_t k = 0; k < in.size(); ++k) {
        const std::int64_t n = sizes[k] * bytes;
        std::memcpy(o, static_cast<const char*>(in[k].raw()) + r * n, index(n));
        o += n;
      }
  }
  TensorList backward(const Call& call) const {
    TensorList g;
    std::int64_t start = 0;
    for (std::size_t k = 0; k < sizes.size(); start += sizes[k++])
      g.push_back(call.needs(k) ? narrow(call.grad(), axis, start, sizes[k]) : Tensor());
    return g;
  }
};

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  return apply(Reshape{shapes::reshape(x.shape(), shape)}, x);
}

Tensor flatten(const Tensor& x, std::int64_t start, std::int64_t end) {
  if (x.ndim() == 0) return reshape(x, {1});
  const auto a = shapes::axis("flatten", start, x.shape()),
             b = shapes::axis("flatten", end, x.shape());
  if (a > b) fail("flatten", "start must not be behind end, got {} and {}", start, end);
  Shape s;
  for (std::int64_t i = 0; i < x.ndim(); ++i) {
    if (i > a && i <= b)
      s.back() *= x.shape()[index(i)];
    else
      s.push_back(x.shape()[index(i)]);
  }
  return reshape(x, s);
}

Tensor squeeze(const Tensor& x, const Axes& axes) {
  const auto chosen = shapes::axes("squeeze", axes, x.shape());
  Shape s;
  for (std::size_t i = 0; i < x.shape().size(); ++i)
    if (!chosen[i] || x.shape()[i] != 1) s.push_back(x.shape()[i]);
  return reshape(x, s);
}

Tensor unsqueeze(const Tensor& x, std::int64_t axis) {
  const std::int64_t n = x.ndim();
  if (axis < -n - 1 || axis > n)
    fail("unsqueeze", "axis must be in [{}, {}] for shape {}, got {}", -n - 1, n, x.shape(), axis);
  Shape s = x.shape();
  s.insert(s.begin() + (axis < 0 ? axis + n + 1 : axis), 1);
  return reshape(x, s);
}

Tensor permute(const Tensor& x, const Axes& order) {
  if (static_cast<std::int64_t>(order.size()) != x.ndim())
    fail("permute", "needs one axis for each of the {} axes of {}, got {}", x.ndim(), x.shape(),
         order.size());
  Axes full;
  InlineVector<bool, 8> seen(order.size(), false);
  bool identity = true;
  for (const auto a : order) {
    const auto i = shapes::axis("permute", a, x.shape());
    if (seen[index(i)]) fail("permute", "axes must be distinct, got axis {} twice", i);
    seen[index(i)] = true;
    identity &= i == static_cast<std::int64_t>(full.size());
    full.push_back(i);
  }
  return identity ? reshape(x, x.shape()) : apply(Permute{full}, x);
}

Tensor transpose(const Tensor& x, std::int64_t axis0, std::int64_t axis1) {
  Axes order;
  for (std::int64_t i = 0; i < x.ndim(); ++i) order.push_back(i);
  if (x.ndim() == 0) return x;
  std::swap(order[index(shapes::axis("transpose", axis0, x.shape()))],
            order[index(shapes::axis("transpose", axis1, x.shape()))]);
  return permute(x, order);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  Shape to = shape;
  const std::size_t extra = to.size() - std::min(to.size(), x.shape().size());
  for (std::size_t i = extra; i < to.size(); ++i)
    if (to[i] == -1) to[i] = x.shape()[i - extra];
  shapes::check("expand", to);
  shapes::check_expand("expand", x.shape(), to);
  return to == x.shape() ? x : apply(Expand{to}, x);
}

Tensor concat(const TensorList& tensors, std::int64_t axis) {
  if (tensors.empty()) fail("concat", "needs at least one tensor, got none");
  InlineVector<const Tensor*, 8> pointers;
  for (const auto& t : tensors) pointers.push_back(&t);
  const Inputs in({pointers.data(), pointers.size()});
  check_defined("concat", in);
  const Shape& first = tensors[0].shape();
  if (first.empty()) fail("concat", "tensors must have an axis, got 0-d tensors; use stack");
  Concat op{shapes::axis("concat", axis, first), {}, first};
  const auto a = index(op.axis);
  op.shape[a] = 0;
  for (const auto& t : tensors) {
    internal::check_same_dtype("concat", tensors[0], t);
    Shape expected = first;
    if (t.shape().size() == first.size()) expected[a] = t.shape()[a];
    if (t.shape() != expected)
      fail("concat", "shapes must agree but for axis {}, got {} and {}", op.axis, first, t.shape());
    op.sizes.push_back(t.shape()[a]);
    op.shape[a] += t.shape()[a];
  }
  return apply(op, in);
}

Tensor stack(const TensorList& tensors, std::int64_t axis) {
  if (tensors.empty()) fail("stack", "needs at least one tensor, got none");
  TensorList rows;
  for (const auto& t : tensors) {
    if (t.shape() != tensors[0].shape())
      fail("stack", "shapes must be equal, got {} and {}", tensors[0].shape(), t.shape());
    rows.push_back(unsqueeze(t, axis));
  }
  return concat(rows, axis);
}

Tensor Tensor::clone() const { return apply(Clone{}, *this); }

Tensor Tensor::to(DType dtype) const {
  if (dtype == this->dtype()) return *this;
  if (is_floating(dtype) && is_floating(this->dtype()))
    return apply(Cast{this->dtype(), dtype}, *this);
  const NoGrad off;  // no gradient passes through integers
  return apply(Cast{this->dtype(), dtype}, *this);
}

}  // namespace autograd
