#include <algorithm>
#include <cstring>

#include "autograd/ops/internal/strided.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using internal::Piece;
using internal::View;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// Two different axes, counted from the start.
std::pair<std::size_t, std::size_t> two_axes(std::string_view op, std::int64_t axis0,
                                             std::int64_t axis1, const Shape& shape) {
  if (shape.ndim() < 2) fail(op, "the tensor must have two axes, got shape {}", shape);
  const auto a = shapes::axis(op, axis0, shape), b = shapes::axis(op, axis1, shape);
  if (a == b) fail(op, "the two axes must differ, got {} and {} for {}", axis0, axis1, shape);
  return {at(a), at(b)};
}

void check_repeats(std::string_view op, const Shape& repeats) {
  for (const auto n : repeats)
    if (n < 0) fail(op, "repeats must be at least 0, got {}", repeats);
}

Tensor tiled(std::string_view op, const Tensor& x, Shape repeats) {
  check_repeats(op, repeats);
  Shape sizes = x.shape();
  while (repeats.size() < sizes.size()) repeats.insert(repeats.begin(), 1);
  while (sizes.size() < repeats.size()) sizes.insert(sizes.begin(), 1);
  Shape split, expanded, joined;  // (1, n) → (r, n) → (r·n) for each axis
  for (std::size_t d = 0; d < sizes.size(); ++d) {
    split.push_back(1);
    split.push_back(sizes[d]);
    expanded.push_back(repeats[d]);
    expanded.push_back(sizes[d]);
  }
  shapes::check(op, expanded);
  for (std::size_t d = 0; d < sizes.size(); ++d) joined.push_back(repeats[d] * sizes[d]);
  return reshape(expand(reshape(x, split), expanded), joined);
}

// Pieces of the result of `pad` along an axis of size n.
detail::PooledVector<Piece> padded(PadMode mode, std::int64_t n, std::int64_t left,
                                   std::int64_t right) {
  if (mode == PadMode::constant)
    return {{std::max<std::int64_t>(left, 0), std::max<std::int64_t>(-left, 0), 1,
             n + std::min<std::int64_t>(left, 0) + std::min<std::int64_t>(right, 0)}};
  const Piece inside{left, 0, 1, n};
  switch (mode) {
    case PadMode::reflect:
      return {{0, left, -1, left}, inside, {left + n, n - 2, -1, right}};
    case PadMode::replicate:
      return {{0, 0, 0, left}, inside, {left + n, n - 1, 0, right}};
    default:
      return {{0, n - left, 1, left}, inside, {left + n, 0, 1, right}};
  }
}

void check_width(PadMode mode, std::int64_t width, std::size_t axis, const Shape& shape) {
  const std::int64_t n = shape[axis];
  if (mode == PadMode::constant || width == 0) return;
  constexpr std::string_view names[] = {"constant", "reflect", "replicate", "circular"};
  const auto name = names[static_cast<int>(mode)];
  if (width < 0)
    fail("pad", "widths must be at least 0 in mode {}, got {} for axis {} of {}", name, width, axis,
         shape);
  if (mode == PadMode::reflect && width >= n)
    fail("pad", "widths must be less than the axis in mode {}, got {} for axis {} of {}", name,
         width, axis, shape);
  if (mode == PadMode::circular && width > n)
    fail("pad", "widths must be at most the axis in mode {}, got {} for axis {} of {}", name, width,
         axis, shape);
  if (n == 0)
    fail("pad", "the axis must not be empty in mode {}, got axis {} of {}", name, axis, shape);
}

// Rows of matrices, each kept up to or from the diagonal. Its own gradient.
struct Triangle {
  bool lower;
  std::int64_t diagonal;
  XGRAD_ATTRIBUTES(lower, diagonal)

  std::string_view name() const { return lower ? "tril" : "triu"; }
  TensorSpec infer(const Inputs& in) const {
    if (in[0].ndim() < 2)
      fail(name(), "the tensor must have two axes, got shape {}", in[0].shape());
    return {in[0].shape(), in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (out.numel() == 0) return;
    const std::int64_t n = out.size(-2), m = out.size(-1);
    const auto bytes = size_of(out.dtype()), row = at(m) * bytes;
    const auto* from = static_cast<const char*>(in[0].raw());
    auto* to = static_cast<char*>(out.raw_mutable());
    // Rows beyond which nothing changes: no overflow below.
    const std::int64_t d = std::clamp(diagonal, -n - 1, m + 1);
    for (std::int64_t i = 0; i < out.numel() / m; ++i, from += row, to += row) {
      const auto cut = at(std::clamp<std::int64_t>(i % n + d + (lower ? 1 : 0), 0, m)) * bytes;
      std::memcpy(lower ? to : to + cut, lower ? from : from + cut, lower ? cut : row - cut);
      std::memset(lower ? to + cut : to, 0, lower ? row - cut : cut);
    }
  }
  TensorList backward(const Call& call) const { return {apply(*this, call.grad())}; }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const { return in.call(*this, {in[0]}); }
};

// The walk along the diagonals of two axes of `shape`, as a new last axis.
View diagonal_view(const Shape& shape, std::int64_t offset, std::size_t a, std::size_t b) {
  View view(shape);
  const std::int64_t n = shape[a], m = shape[b], across = view.strides[a] + view.strides[b];
  offset = std::clamp(offset, -n, m);
  const std::int64_t length = offset >= 0 ? std::min(n, m - offset) : std::min(n + offset, m);
  view.start = offset >= 0 ? offset * view.strides[b] : -offset * view.strides[a];
  if (length == 0) view.start = 0;
  for (const std::size_t d : {std::max(a, b), std::min(a, b)}) {
    view.sizes.erase(view.sizes.begin() + d);
    view.strides.erase(view.strides.begin() + d);
  }
  view.sizes.push_back(length);
  view.strides.push_back(across);
  return view;
}

}  // namespace

Tensor repeat(const Tensor& x, const Shape& repeats) {
  const detail::Named as("repeat");
  if (repeats.ndim() < x.ndim())
    fail("repeat", "needs a number for each axis of {}, got {}", x.shape(), repeats);
  return tiled("repeat", x, repeats);
}

Tensor tile(const Tensor& x, const Shape& repeats) {
  const detail::Named as("tile");
  return tiled("tile", x, repeats);
}

Tensor repeat_interleave(const Tensor& x, std::int64_t repeats) {
  const detail::Named as("repeat_interleave");
  return repeat_interleave(flatten(x), repeats, 0);
}

Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::int64_t axis) {
  const detail::Named as("repeat_interleave");
  check_repeats("repeat_interleave", {repeats});
  axis = shapes::axis("repeat_interleave", axis, x.shape());
  if (x.ndim() == 0) return repeat_interleave(reshape(x, {1}), repeats, 0);
  Shape expanded = x.shape(), joined = x.shape();
  expanded.insert(expanded.begin() + axis + 1, repeats);
  shapes::check("repeat_interleave", expanded);
  joined[at(axis)] *= repeats;
  return reshape(expand(unsqueeze(x, axis + 1), expanded), joined);
}

Tensor flip(const Tensor& x, const Axes& axes) {
  const detail::Named as("flip");
  const auto chosen = shapes::axes("flip", axes, x.shape());
  View view(x.shape());
  for (std::size_t d = 0; d < chosen.size(); ++d)
    if (chosen[d] && view.sizes[d] > 0) view.slice(d, view.sizes[d] - 1, -1, view.sizes[d]);
  return gather_view("flip", x, view);
}

Tensor roll(const Tensor& x, const Integers& shifts, const Axes& axes) {
  const detail::Named as("roll");
  if (axes.empty()) {
    if (shifts.size() != 1) fail("roll", "needs one shift without axes, got {}", shifts.size());
    return reshape(roll(flatten(x), shifts, 0), x.shape());
  }
  if (shifts.size() != axes.size())
    fail("roll", "needs one shift for each axis, got {} shifts and {} axes", shifts.size(),
         axes.size());
  if (x.ndim() == 0) fail("roll", "the tensor must have an axis, got a 0-d tensor");
  detail::PooledVector<std::int64_t> shift(x.shape().size(), 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto d = at(shapes::axis("roll", axes[i], x.shape()));
    const std::int64_t n = std::max<std::int64_t>(x.shape()[d], 1);
    shift[d] = ((shift[d] + shifts[i] % n) % n + n) % n;
  }
  detail::PooledVector<detail::PooledVector<Piece>> pieces;
  for (std::size_t d = 0; d < shift.size(); ++d) {
    const std::int64_t n = x.shape()[d], s = shift[d];
    pieces.push_back({{s, 0, 1, n - s}});
    if (s) pieces.back().push_back({0, n - s, 1, s});
  }
  return cut_and_paste("roll", x, x.shape(), pieces);
}

Tensor rot90(const Tensor& x, std::int64_t k, const Axes& axes) {
  const detail::Named as("rot90");
  if (axes.size() != 2) fail("rot90", "needs two axes, got {}", axes.size());
  const auto [a, b] = two_axes("rot90", axes[0], axes[1], x.shape());
  const std::int64_t turns = (k % 4 + 4) % 4;
  View view(x.shape());
  for (const auto& [axis, turned] :
       {std::pair{a, turns == 2 || turns == 3}, std::pair{b, turns == 1 || turns == 2}})
    if (turned && view.sizes[axis] > 0)
      view.slice(axis, view.sizes[axis] - 1, -1, view.sizes[axis]);
  if (turns % 2) {
    std::swap(view.sizes[a], view.sizes[b]);
    std::swap(view.strides[a], view.strides[b]);
  }
  return gather_view("rot90", x, view);
}

Tensor pad(const Tensor& x, const Integers& widths, PadMode mode, double value) {
  const detail::Named as("pad");
  const Shape& shape = x.shape();
  if (widths.size() % 2 || widths.size() > 2 * shape.size())
    fail("pad", "needs two widths for each of at most {} axes of {}, got {}", x.ndim(), shape,
         widths.size());
  Shape padded_shape = shape;
  detail::PooledVector<detail::PooledVector<Piece>> pieces(shape.size());
  bool repeats = false;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    const std::size_t k = 2 * (shape.size() - 1 - d);
    const std::int64_t left = k < widths.size() ? widths[k] : 0,
                       right = k < widths.size() ? widths[k + 1] : 0;
    check_width(mode, left, d, shape);
    check_width(mode, right, d, shape);
    constexpr std::int64_t huge = std::int64_t{1} << 60;
    if (left > huge || right > huge || left < -huge || right < -huge || shape[d] + left + right < 0)
      fail("pad",
           "sizes must be at least 0 and fit in memory, got widths {} and {} for axis {} of {}",
           left, right, d, shape);
    padded_shape[d] += left + right;
    for (const Piece& p : padded(mode, shape[d], left, right))
      if (p.length > 0) pieces[d].push_back(p);
    repeats |= mode != PadMode::constant && (left > 0 || right > 0);
  }
  shapes::check("pad", padded_shape);
  if (mode == PadMode::constant) (void)scalar_like(value, x);  // throws unless x can hold it
  return cut_and_paste("pad", x, padded_shape, pieces, repeats, value);
}

Tensor diagonal(const Tensor& x, std::int64_t offset, std::int64_t axis0, std::int64_t axis1) {
  const detail::Named as("diagonal");
  const auto [a, b] = two_axes("diagonal", axis0, axis1, x.shape());
  return gather_view("diagonal", x, diagonal_view(x.shape(), offset, a, b));
}

Tensor diag_embed(const Tensor& x, std::int64_t offset, std::int64_t axis0, std::int64_t axis1) {
  const detail::Named as("diag_embed");
  if (x.ndim() == 0) fail("diag_embed", "the tensor must have an axis, got a 0-d tensor");
  Shape whole = x.shape();
  constexpr std::int64_t huge = std::int64_t{1} << 31;
  if (offset > huge || offset < -huge)
    fail("diag_embed", "the offset must be within ±2^31, got {}", offset);
  const std::int64_t n = whole.back() + std::abs(offset);
  whole.back() = n;
  whole.push_back(n);
  const auto [a, b] = two_axes("diag_embed", axis0, axis1, whole);
  whole.resize(whole.size() - 2);
  for (const std::size_t d : {std::min(a, b), std::max(a, b)}) whole.insert(whole.begin() + d, n);
  shapes::check("diag_embed", whole);
  return scatter_view("diag_embed", x, diagonal_view(whole, offset, a, b), whole);
}

Tensor diag(const Tensor& x, std::int64_t offset) {
  const detail::Named as("diag");
  if (x.ndim() == 1) return diag_embed(x, offset);
  if (x.ndim() == 2) return diagonal(x, offset);
  fail("diag", "the tensor must have one or two axes, got shape {}; use diagonal or diag_embed",
       x.shape());
}

Tensor tril(const Tensor& x, std::int64_t diagonal) { return apply(Triangle{true, diagonal}, x); }
Tensor triu(const Tensor& x, std::int64_t diagonal) { return apply(Triangle{false, diagonal}, x); }

Tensor unfold(const Tensor& x, std::int64_t axis, std::int64_t size, std::int64_t step) {
  const detail::Named as("unfold");
  if (x.ndim() == 0) fail("unfold", "the tensor must have an axis, got a 0-d tensor");
  const auto d = at(shapes::axis("unfold", axis, x.shape()));
  const std::int64_t n = x.shape()[d];
  if (size < 0 || size > n || step < 1)
    fail("unfold", "needs 0 <= size <= {} for axis {} of {} and step > 0, got size {} and step {}",
         n, d, x.shape(), size, step);
  View view(x.shape());
  view.sizes.push_back(size);
  view.strides.push_back(view.strides[d]);
  view.slice(d, 0, step, (n - size) / step + 1);
  view.repeats = step < size;
  shapes::check("unfold", view.sizes);
  return gather_view("unfold", x, view);
}

TensorList meshgrid(const TensorList& tensors, MeshIndexing indexing) {
  const detail::Named as("meshgrid");
  if (tensors.empty()) fail("meshgrid", "needs at least one tensor, got none");
  const bool swapped = indexing == MeshIndexing::xy && tensors.size() > 1;
  auto axis = [&](std::size_t k) { return swapped && k < 2 ? 1 - k : k; };
  Shape grid;
  grid.resize(tensors.size());
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    if (tensors[k].ndim() > 1)
      fail("meshgrid", "tensors must have at most one axis, got shape {}", tensors[k].shape());
    internal::check_same_dtype("meshgrid", tensors[0], tensors[k]);
    grid[axis(k)] = tensors[k].numel();
  }
  shapes::check("meshgrid", grid);
  TensorList out;
  for (std::size_t k = 0; k < tensors.size(); ++k) {
    Shape along;
    along.resize(tensors.size(), 1);
    along[axis(k)] = tensors[k].numel();
    out.push_back(expand(reshape(tensors[k], along), grid));
  }
  return out;
}

}  // namespace autograd
