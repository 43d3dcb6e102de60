#pragma once

#include <cstdint>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Operations that move elements or give them another shape. For every dtype.
namespace autograd {

/// Shifts, widths: one integer for each axis or side.
using Integers = Axes;

/// The same elements in another shape; one size may be -1. Shares storage.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Axes start…end (inclusive) as one. A 0-d tensor becomes (1,).
Tensor flatten(const Tensor& x, std::int64_t start = 0, std::int64_t end = -1);
/// Without the axes of size 1: all of them, or the given ones (those of another size stay).
Tensor squeeze(const Tensor& x, const Axes& axes = {});
/// With a new axis of size 1 at `axis`, in [-ndim - 1, ndim].
Tensor unsqueeze(const Tensor& x, std::int64_t axis);
/// One axis as several, of the given sizes; one may be -1.
Tensor unflatten(const Tensor& x, std::int64_t axis, const Shape& sizes);
/// All elements along one axis.
Tensor ravel(const Tensor& x);

/// Axis i of the result is axis order[i] of x. A copy.
Tensor permute(const Tensor& x, const Axes& order);
/// Two axes swapped; without arguments the last two. A copy.
Tensor transpose(const Tensor& x, std::int64_t axis0 = -2, std::int64_t axis1 = -1);
/// The same, by NumPy's name.
Tensor swapaxes(const Tensor& x, std::int64_t axis0, std::int64_t axis1);
/// Axis source[i] becomes axis destination[i]; the others keep their order. A copy.
Tensor movedim(const Tensor& x, const Axes& source, const Axes& destination);
/// Broadcast to `shape`; -1 keeps a size. A copy.
Tensor expand(const Tensor& x, const Shape& shape);
/// The same, by NumPy's name.
Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// All of them broadcast to one shape.
TensorList broadcast_tensors(const TensorList& tensors);
/// Summed down to `shape`, which must broadcast to the shape of x: the transpose of `expand`.
Tensor sum_to(const Tensor& x, const Shape& shape);
/// Joined along an existing axis; the other sizes must agree.
Tensor concat(const TensorList& tensors, std::int64_t axis = 0);
/// Joined along a new axis; all shapes must agree.
Tensor stack(const TensorList& tensors, std::int64_t axis = 0);
/// Joined along axis 0, after turning tensors of less than two axes into rows.
Tensor vstack(const TensorList& tensors);
/// Joined along axis 1, or along axis 0 where the first has at most one axis.
Tensor hstack(const TensorList& tensors);
/// Cut along an axis into pieces of the given sizes, which must add up to its size. All pieces are
/// one node of the tape, whose gradient is one `concat`.
TensorList split(const Tensor& x, const Shape& sizes, std::int64_t axis = 0);
/// The same with pieces of `size` > 0; the last may be smaller.
TensorList split(const Tensor& x, std::int64_t size, std::int64_t axis = 0);
/// Cut into `chunks` pieces of ⌈n / chunks⌉, or fewer where that suffices; the last may be smaller.
TensorList chunk(const Tensor& x, std::int64_t chunks, std::int64_t axis = 0);
/// The entries of one axis; the axis goes.
TensorList unbind(const Tensor& x, std::int64_t axis = 0);

/// Whole copies side by side, repeats[i] along axis i; more repeats than axes add axes in front,
/// fewer throw.
Tensor repeat(const Tensor& x, const Shape& repeats);
/// The same, but fewer repeats than axes leave the first axes alone.
Tensor tile(const Tensor& x, const Shape& repeats);
/// Each element (of the flattened tensor) or each entry of an axis `repeats` times in a row.
Tensor repeat_interleave(const Tensor& x, std::int64_t repeats);
Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::int64_t axis);
/// The order along these axes reversed; all axes by default.
Tensor flip(const Tensor& x, const Axes& axes = {});
/// Moved forward by shifts[i] along axes[i], what leaves at the end coming back at the start.
/// Without axes the flattened tensor is rolled by the one shift. Shifts of one axis add up.
Tensor roll(const Tensor& x, const Integers& shifts, const Axes& axes = {});
/// Turned k times by 90°, from the first of two axes towards the second.
Tensor rot90(const Tensor& x, std::int64_t k = 1, const Axes& axes = {0, 1});

/// What `pad` puts around a tensor: a value; the tensor mirrored at its first and last entry, which
/// are not repeated; the nearest entry; or the entries of the other end.
enum class PadMode { constant, reflect, replicate, circular };
/// Widened at both ends of axes. `widths` begin with the last axis, as in PyTorch: {left, right} of
/// it, then of the one before, …. Negative widths crop (constant only). In reflect a width must be
/// less than the axis, in circular at most the axis; replicate needs one entry.
Tensor pad(const Tensor& x, const Integers& widths, PadMode mode = PadMode::constant,
           double value = 0);

/// The elements at (i, i + offset) of two axes, as a new last axis; the two axes go.
Tensor diagonal(const Tensor& x, std::int64_t offset = 0, std::int64_t axis0 = 0,
                std::int64_t axis1 = 1);
/// Zeros with the last axis of x on the diagonal of two new axes: the transpose of `diagonal`.
Tensor diag_embed(const Tensor& x, std::int64_t offset = 0, std::int64_t axis0 = -2,
                  std::int64_t axis1 = -1);
/// The matrix with diagonal x (1-d), or the diagonal of x (2-d).
Tensor diag(const Tensor& x, std::int64_t offset = 0);
/// Matrices (last two axes) with zeros above the given diagonal (0: the main one, 1: the one
/// above).
Tensor tril(const Tensor& x, std::int64_t diagonal = 0);
/// Matrices (last two axes) with zeros below the given diagonal.
Tensor triu(const Tensor& x, std::int64_t diagonal = 0);
/// Windows of `size` entries of one axis, one every `step`; the window is a new last axis. Entries
/// that no whole window reaches are left out.
Tensor unfold(const Tensor& x, std::int64_t axis, std::int64_t size, std::int64_t step);

/// Which axis the first tensor of a `meshgrid` varies along: the first (matrix), or the second.
enum class MeshIndexing { ij, xy };
/// Coordinates of a grid: result k is tensor k (0-d or 1-d) along axis k, repeated along the
/// others.
TensorList meshgrid(const TensorList& tensors, MeshIndexing indexing = MeshIndexing::ij);

}  // namespace autograd

#pragma GCC visibility pop
