#include <algorithm>
#include <cstring>

#include "autograd/core/internal/pass.hpp"
#include "autograd/elementwise/internal/broadcast.hpp"
#include "autograd/ops/internal/lines.hpp"
#include "autograd/ops/internal/strided.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/function.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/gathered_rows.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/rows.hpp"

namespace autograd {
namespace {

std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Reshape {
  Shape to;
  XGRAD_ATTRIBUTES(to)
  std::string_view name() const { return "reshape"; }
  Tensor view(const Inputs& in) const { return internal::view_as(in[0], to); }
  TensorList backward(const Call& call) const {
    return {reshape(call.grad(), call.input_shape(0))};
  }
  static Jacobian jacobian() { return Jacobian::linear; }
};

struct Clone {
  static constexpr bool kTotal = true;
  std::string_view name() const { return "clone"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    std::memcpy(out.raw_mutable(), in[0].raw(), index(out.numel()) * size_of(out.dtype()));
  }
  detail::Pass pass(const Inputs&, const Tensor&) const {
    return {.operands = {detail::kMoves}, .expands = true};
  }
  TensorList backward(const Call& call) const { return {call.grad()}; }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

struct Cast {
  DType from, to;
  XGRAD_ATTRIBUTES(from, to)
  std::string_view name() const { return "to"; }
  TensorSpec infer(const Inputs& in) const { return {in[0].shape(), to}; }
  void forward(const Inputs& in, Tensor& out) const { internal::convert(in[0], out); }
  TensorList backward(const Call& call) const { return {call.grad().to(from)}; }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

struct Expand {
  static constexpr bool kTotal = true;
  static constexpr bool kBroadcasts = true;
  Shape to;
  XGRAD_ATTRIBUTES(to)
  std::string_view name() const { return "expand"; }
  TensorSpec infer(const Inputs& in) const { return {to, in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const { internal::expand_into(in[0], out); }
  detail::Pass pass(const Inputs& in, const Tensor&) const {
    return {.operands = {detail::kMoves}, .expands = in[0].numel() == 1};
  }
  TensorList backward(const Call& call) const { return {call.grad()}; }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const {
    return in.call(Expand{internal::with_front(in.samples(), to)}, {in.aligned(0, to.size())});
  }
};

struct Concat {
  static constexpr bool kTotal = true;
  std::int64_t axis;
  InlineVector<std::int64_t, 4> sizes;
  Shape shape;
  XGRAD_ATTRIBUTES(axis, sizes, shape)
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
  detail::Pass pass(const Inputs&, const Tensor&) const { return {.operands = {detail::kMoves}}; }
  TensorList backward(const Call& call) const {
    TensorList g;
    std::int64_t start = 0;
    for (std::size_t k = 0; k < sizes.size(); start += sizes[k++])
      g.push_back(call.needs(k) ? narrow(call.grad(), axis, start, sizes[k]) : Tensor());
    return g;
  }
  TensorList jvp(const Call& call) const {
    TensorList all;
    for (std::size_t k = 0; k < sizes.size(); ++k)
      all.push_back(call.tangent(k).defined() ? call.tangent(k)
                                              : zeros(internal::with_size(shape, axis, sizes[k]),
                                                      call.output_spec().dtype));
    return {concat(all, axis)};
  }
  TensorList batch(const internal::Batch& in) const {
    TensorList whole;
    for (std::size_t k = 0; k < in.size(); ++k) whole.push_back(in.whole(k));
    return {concat(whole, axis + 1)};
  }
};

// The pieces of a split as outputs of one node.
class SplitNode final : public Node {
 public:
  explicit SplitNode(std::int64_t axis) : axis_(axis) {}
  std::string_view name() const override { return "split"; }
  void visit_attributes(AttributeVisitor& visitor) const override {
    visitor.attribute("axis", axis_);
    visitor.members(1, 1);
  }
  TensorList backward(TensorList& cotangents) override {
    for (std::size_t k = 0; k < cotangents.size(); ++k)
      if (!cotangents[k].defined()) cotangents[k] = zeros(outputs()[k].shape, outputs()[k].dtype);
    return {concat(cotangents, axis_)};
  }
  Jacobian jacobian() const override { return Jacobian::own; }
  TensorList jvp(TensorList& tangents) override {
    TensorList pieces;
    std::int64_t start = 0;
    for (const TensorSpec& piece : outputs()) {
      const std::int64_t n = piece.shape[index(axis_)];
      pieces.push_back(narrow(tangents[0], axis_, start, n));
      start += n;
    }
    return pieces;
  }

 private:
  std::int64_t axis_;
};

TensorList split_as(std::string_view op, const Tensor& x, const Shape& sizes, std::int64_t axis) {
  if (x.ndim() == 0) fail(op, "the tensor must have an axis, got a 0-d tensor");
  axis = shapes::axis(op, axis, x.shape());
  std::int64_t left = x.size(axis);
  bool fits = true;
  for (const auto n : sizes) {
    fits &= n >= 0 && n <= left;
    if (fits) left -= n;
  }
  if (!fits || left != 0)
    fail(op, "sizes must be at least 0 and add up to axis {} of {}, got {}", axis, x.shape(),
         sizes);
  const std::array pointers{&x};
  const Inputs in(pointers);
  const bool one_node = !detail::has_samples(in);  // a vmap knows operations only
  TensorList pieces;
  std::int64_t start = 0;
  {
    const GradMode mode(grad_enabled() && !one_node);
    for (const auto n : sizes) {
      pieces.push_back(narrow(x, axis, start, n));
      start += n;
    }
  }
  if (one_node && !pieces.empty() && should_record(in))
    record(detail::Ref<Node>::adopt(new SplitNode(axis)), in, {pieces.data(), pieces.size()});
  return pieces;
}

std::int64_t axis_size(std::string_view op, const Tensor& x, std::int64_t axis) {
  if (x.ndim() == 0) fail(op, "the tensor must have an axis, got a 0-d tensor");
  return x.shape()[index(shapes::axis(op, axis, x.shape()))];
}

// Pieces of one size; the last may be smaller. At least one piece.
TensorList split_by(std::string_view op, const Tensor& x, std::int64_t size, std::int64_t axis) {
  const std::int64_t n = axis_size(op, x, axis);
  Shape sizes;
  for (std::int64_t left = n; left > 0; left -= size) sizes.push_back(std::min(left, size));
  if (sizes.empty()) sizes.push_back(0);
  return split_as(op, x, sizes, axis);
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  internal::check_defined("reshape", x);
  return apply(Reshape{shapes::reshape(x.shape(), shape)}, x);
}

Tensor flatten(const Tensor& x, std::int64_t start, std::int64_t end) {
  internal::check_defined("flatten", x);
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
  internal::check_defined("squeeze", x);
  const auto chosen = shapes::axes("squeeze", axes, x.shape());
  Shape s;
  for (std::size_t i = 0; i < x.shape().size(); ++i)
    if (!chosen[i] || x.shape()[i] != 1) s.push_back(x.shape()[i]);
  return reshape(x, s);
}

Tensor unsqueeze(const Tensor& x, std::int64_t axis) {
  internal::check_defined("unsqueeze", x);
  const std::int64_t n = x.ndim();
  if (axis < -n - 1 || axis > n)
    fail("unsqueeze", "axis must be in [{}, {}] for shape {}, got {}", -n - 1, n, x.shape(), axis);
  Shape s = x.shape();
  s.insert(s.begin() + (axis < 0 ? axis + n + 1 : axis), 1);
  return reshape(x, s);
}

Tensor unflatten(const Tensor& x, std::int64_t axis, const Shape& sizes) {
  const detail::Named as("unflatten");
  const std::int64_t n = axis_size("unflatten", x, axis);
  axis = shapes::axis("unflatten", axis, x.shape());
  std::int64_t known = 1, unknown = 0;
  for (const auto size : sizes) {
    if (size < -1 || (size > 0 && __builtin_mul_overflow(known, size, &known))) unknown = 2;
    if (size == 0) known = 0;
    unknown += size == -1;
  }
  if (sizes.empty() || unknown > 1 || (unknown ? known == 0 || n % known != 0 : known != n))
    fail("unflatten", "sizes must multiply to axis {} of {}, with at most one -1, got {}", axis,
         x.shape(), sizes);
  Shape s(x.shape().begin(), x.shape().begin() + axis);
  for (const auto size : sizes) s.push_back(size == -1 ? n / known : size);
  s.append(x.shape().begin() + axis + 1, x.shape().end());
  return reshape(x, s);
}

Tensor ravel(const Tensor& x) {
  const detail::Named as("ravel");
  return flatten(x);
}

Tensor permute(const Tensor& x, const Axes& order) {
  internal::check_defined("permute", x);
  if (static_cast<std::int64_t>(order.size()) != x.ndim())
    fail("permute", "needs one axis for each of the {} axes of {}, got {}", x.ndim(), x.shape(),
         order.size());
  Axes full;
  InlineVector<bool, 8> seen(order.size(), false);
  const auto contiguous = internal::contiguous(x.shape());
  bool identity = true;
  for (const auto a : order) {
    const auto i = shapes::axis("permute", a, x.shape());
    if (seen[index(i)]) fail("permute", "axes must be distinct, got axis {} twice", i);
    seen[index(i)] = true;
    identity &= i == static_cast<std::int64_t>(full.size());
    full.push_back(i);
  }
  if (identity) return reshape(x, x.shape());
  internal::View view(x.shape());
  for (std::size_t i = 0; i < full.size(); ++i) {
    view.sizes[i] = x.shape()[index(full[i])];
    view.strides[i] = contiguous[index(full[i])];
  }
  return internal::gather_view("permute", x, view);
}

Tensor transpose(const Tensor& x, std::int64_t axis0, std::int64_t axis1) {
  internal::check_defined("transpose", x);
  Axes order;
  for (std::int64_t i = 0; i < x.ndim(); ++i) order.push_back(i);
  if (x.ndim() == 0) return x;
  std::swap(order[index(shapes::axis("transpose", axis0, x.shape()))],
            order[index(shapes::axis("transpose", axis1, x.shape()))]);
  return permute(x, order);
}

Tensor swapaxes(const Tensor& x, std::int64_t axis0, std::int64_t axis1) {
  const detail::Named as("swapaxes");
  return transpose(x, axis0, axis1);
}

Tensor movedim(const Tensor& x, const Axes& source, const Axes& destination) {
  const detail::Named as("movedim");
  if (source.size() != destination.size())
    fail("movedim", "needs as many sources as destinations, got {} and {}", source.size(),
         destination.size());
  if (x.ndim() == 0) return reshape(x, {});
  InlineVector<std::int64_t, 8> from(x.shape().size(), -1);  // for each axis of the result
  InlineVector<bool, 8> moved(x.shape().size(), false);
  for (std::size_t i = 0; i < source.size(); ++i) {
    const auto s = shapes::axis("movedim", source[i], x.shape());
    auto& place = from[index(shapes::axis("movedim", destination[i], x.shape()))];
    if (moved[index(s)] || place >= 0)
      fail("movedim", "sources and destinations must be distinct, got {} to {} twice", source[i],
           destination[i]);
    moved[index(s)] = true;
    place = s;
  }
  Axes order;
  std::int64_t next = 0;
  for (const auto s : from) {
    while (s < 0 && moved[index(next)]) ++next;
    order.push_back(s < 0 ? next++ : s);
  }
  return permute(x, order);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  internal::check_defined("expand", x);
  Shape to = shape;
  const std::size_t extra = to.size() - std::min(to.size(), x.shape().size());
  for (std::size_t i = extra; i < to.size(); ++i)
    if (to[i] == -1) to[i] = x.shape()[i - extra];
  shapes::check("expand", to);
  shapes::check_expand("expand", x.shape(), to);
  return to == x.shape() ? x : apply(Expand{to}, x);
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  const detail::Named as("broadcast_to");
  return expand(x, shape);
}

TensorList broadcast_tensors(const TensorList& tensors) {
  const detail::Named as("broadcast_tensors");
  Shape whole;
  for (const auto& t : tensors) whole = shapes::broadcast("broadcast_tensors", whole, t.shape());
  TensorList out;
  for (const auto& t : tensors) out.push_back(expand(t, whole));
  return out;
}

Tensor concat(const TensorList& tensors, std::int64_t axis) {
  if (tensors.empty()) fail("concat", "needs at least one tensor, got none");
  const InputList in(tensors);
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
  const detail::Named as("stack");
  if (tensors.empty()) fail("stack", "needs at least one tensor, got none");
  const Shape& shape = tensors[0].shape();
  for (const auto& t : tensors)
    if (t.shape() != shape) fail("stack", "shapes must be equal, got {} and {}", shape, t.shape());
  const std::int64_t n = shape.ndim();
  if (const std::int64_t a = axis < 0 ? axis + n + 1 : axis; a >= 0 && a < n) {
    // Side by side along this axis they lie as they would one after the other.
    Shape stacked = shape;
    stacked.insert(stacked.begin() + a, static_cast<std::int64_t>(tensors.size()));
    return reshape(concat(tensors, a), stacked);
  }
  TensorList rows;
  for (const auto& t : tensors) rows.push_back(unsqueeze(t, axis));
  return concat(rows, axis);
}

Tensor vstack(const TensorList& tensors) {
  const detail::Named as("vstack");
  TensorList rows;
  for (const auto& t : tensors) rows.push_back(t.ndim() < 2 ? reshape(t, {1, t.numel()}) : t);
  return concat(rows, 0);
}

Tensor hstack(const TensorList& tensors) {
  const detail::Named as("hstack");
  TensorList columns;
  for (const auto& t : tensors) columns.push_back(t.ndim() == 0 ? reshape(t, {1}) : t);
  return concat(columns, columns.empty() || columns[0].ndim() == 1 ? 0 : 1);
}

TensorList split(const Tensor& x, const Shape& sizes, std::int64_t axis) {
  const detail::Named as("split");
  return split_as("split", x, sizes, axis);
}

TensorList split(const Tensor& x, std::int64_t size, std::int64_t axis) {
  const detail::Named as("split");
  if (size < 1) fail("split", "the size must be at least 1, got {}", size);
  return split_by("split", x, size, axis);
}

TensorList chunk(const Tensor& x, std::int64_t chunks, std::int64_t axis) {
  const detail::Named as("chunk");
  if (chunks < 1) fail("chunk", "needs at least one chunk, got {}", chunks);
  const std::int64_t n = axis_size("chunk", x, axis);
  // An empty axis gives as many empty pieces.
  if (n == 0) {
    constexpr std::int64_t most = 1 << 24;
    if (chunks > most)
      fail("chunk", "needs at most {} chunks of an empty axis, got {}", most, chunks);
    Shape none;
    none.resize(index(chunks), 0);
    return split_as("chunk", x, none, axis);
  }
  return split_by("chunk", x, (n - 1) / chunks + 1, axis);
}

TensorList unbind(const Tensor& x, std::int64_t axis) {
  const detail::Named as("unbind");
  const std::int64_t n = axis_size("unbind", x, axis);
  if (n == 0) return {};
  Shape ones, entry = x.shape();
  ones.resize(index(n), 1);
  entry.erase(entry.begin() + shapes::axis("unbind", axis, x.shape()));
  TensorList pieces = split_as("unbind", x, ones, axis);
  for (auto& p : pieces) p = reshape(p, entry);
  return pieces;
}

namespace {
// Rows whose copies are not recorded.
bool stay_rows(const Tensor& t) {
  const detail::TensorImpl& i = *t.impl();
  return i.storage->rows() && is_rows(t) && !(grad_enabled() && i.node);
}
}  // namespace

Tensor Tensor::clone() const {
  if (impl_ && stay_rows(*this)) return internal::copy_of_rows(*this);
  return apply(Clone{}, *this);
}

Tensor Tensor::to(DType dtype) const {
  (void)checked("to");
  if (dtype == this->dtype()) return *this;
  if (is_floating(dtype) && stay_rows(*this)) return internal::rows_as(*this, dtype);
  if (is_floating(dtype) && is_floating(this->dtype()))
    return apply(Cast{this->dtype(), dtype}, *this);
  const NoGrad off;  // no gradient passes through integers
  return apply(Cast{this->dtype(), dtype}, *this);
}

}  // namespace autograd
