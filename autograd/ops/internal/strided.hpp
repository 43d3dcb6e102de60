#pragma once

#include "autograd/tape/operation.hpp"

/// Moving elements along strides: one operation behind permute, slice, flip, pad, diagonal, unfold
/// and the like, and behind their gradients. Internal.
namespace autograd::internal {

using Strides = InlineVector<std::int64_t, 4>;

/// Strides of a contiguous tensor.
Strides contiguous(const Shape& shape);

/// Element (i, j, …) within `sizes` goes from `from_start` + (i, j, …)·`from` of the operand to
/// `to_start` + (i, j, …)·`to` of the result. Strides may be 0 or negative.
struct Block {
  Shape sizes;
  Strides from, to;
  std::int64_t from_start = 0, to_start = 0;
  XGRAD_ATTRIBUTES(sizes, from, to, from_start, to_start)

  // Constructors, here and below, so that the members alone are set, and not all bytes first.
  Block() {}
  Block(const Shape& n, const Strides& f, const Strides& t, std::int64_t start)
      : sizes(n), from(f), to(t), from_start(start) {}
};

/// Which blocks go from an operand to a result.
struct Plan {
  std::string_view name;
  Shape from, to;
  InlineVector<Block, 1> blocks{};
  bool repeats = false;  // some element is read more than once: going back, it gets the sum
  XGRAD_ATTRIBUTES(name, from, to, blocks, repeats)

  Plan(std::string_view op, const Shape& f, const Shape& t, bool r)
      : name(op), from(f), to(t), repeats(r) {}
};

/// The operation of a plan: there, or back. What no block writes is `fill`. The gradient of either
/// is the other, with zeros for `fill`.
struct Move {
  static constexpr bool kTotal = true;
  std::shared_ptr<const Plan> plan;
  bool back = false;
  double fill = 0;
  XGRAD_ATTRIBUTES(plan, back, fill)

  std::string_view name() const { return plan->name; }
  TensorSpec infer(const Inputs& in) const { return {back ? plan->from : plan->to, in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const;
  detail::Pass pass(const Inputs& in, const Tensor& out) const;
  TensorList backward(const Call& call) const { return {apply(Move{plan, !back}, call.grad())}; }
  TensorList jvp(const Call& call) const { return {apply(Move{plan, back}, call.tangent(0))}; }
  TensorList batch(const Batch& in) const;
};

/// A walk over the elements of a tensor in another order, some of them, or some repeatedly.
struct View {
  Shape sizes;
  Strides strides;
  std::int64_t start = 0;
  bool repeats = false;

  /// All elements of `shape` in order.
  explicit View(const Shape& shape) : sizes(shape), strides(contiguous(shape)) {}
  /// Keeps `length` entries of one axis: first, first + step, ….
  void slice(std::size_t axis, std::int64_t first, std::int64_t step, std::int64_t length);
  /// Keeps one entry of an axis, without the axis.
  void select(std::size_t axis, std::int64_t index);
};
/// The elements that `view` walks over, as a tensor.
Tensor gather_view(std::string_view name, const Tensor& x, const View& view);
/// Zeros of shape `whole` with the elements of x where `view` walks: the transpose of
/// `gather_view`.
Tensor scatter_view(std::string_view name, const Tensor& x, const View& view, const Shape& whole);

/// Positions to, to + 1, … of an axis of the result are from, from + step, … of the operand's.
struct Piece {
  std::int64_t to, from, step, length;
};
/// x with each axis cut into pieces, which are put together to `shape`; gaps get `fill`. The
/// pieces of all axes are combined. `repeats`: some entry lies in two pieces.
Tensor cut_and_paste(std::string_view name, const Tensor& x, const Shape& shape,
                     const detail::PooledVector<detail::PooledVector<Piece>>& pieces,
                     bool repeats = false, double fill = 0);

}  // namespace autograd::internal
