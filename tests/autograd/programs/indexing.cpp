#include "autograd/ops/neural/embedding.hpp"
#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {

// Keep values in range inside the call or say when it may be called.
std::vector<Op> indexing() {
  return {
      // Indexing.
      PROGRAM_OP(1, has_axes(a), ag::narrow(a, axis, start, length)),
      PROGRAM_OP(1, has_axes(a), ag::slice(a, axis, start, start + length, step)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::slice(a, axis, -1, -8, -1)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::select(a, axis, entry)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::index_select(a, axis, index)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::gather(a, axis, grid)),
      PROGRAM_OP(1, has_axes(a) && filled(a),
                 ag::from_rows(a.shape(), ag::flip(ag::arange(a.size(0))), a)),
      PROGRAM_OP(2, has_axes(a) && filled(a) && b.shape() == grid.shape(),
                 ag::scatter_add_zeros(a.shape(), axis, grid, b)),
      PROGRAM_OP(2, has_axes(a) && filled(a) && b.shape() == grid.shape(),
                 ag::scatter_add(a, axis, grid, b)),
      PROGRAM_OP(1, away(a, 0), ag::masked_fill(a, a > 0, 0.5)),
      PROGRAM_OP(2,
                 has_axes(a) && filled(a) && broadcast(a, b) && a.ndim() == b.ndim() + 1 &&
                     same_shape(a[0] + b, a[0]),
                 ag::index_put(a, {-1}, b, flag)),
      PROGRAM_OP(1, has_axes(a) && filled(a),
                 ag::index_put(a, {ag::full({3}, -1, ag::int64)}, ag::sum(a), flag)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::take(a, index)),
      PROGRAM_OP(2, has_axes(a) && filled(a) && b.shape() == grid.shape(),
                 ag::scatter(a, axis, grid, b)),
      PROGRAM_OP(1, has_axes(a) && filled(a),
                 ag::index_add(a, axis, index, ag::index_select(a, axis, index), number)),
      PROGRAM_OP(2, has_axes(a) && filled(a) && filled(b),
                 ag::index_fill(a, axis, index, ag::mean(b))),
      PROGRAM_OP(1, a.ndim() == 2 && a.size(0) > 1,
                 ag::embedding(ag::full({2, 3}, 1, ag::int64), a, {.padding_idx = 0})),
      PROGRAM_OP(1, a.ndim() == 2 && a.size(0) > 1,
                 ag::embedding_bag(ag::full({2, 3}, 1, ag::int64), a, {}, {.padding_idx = 0})),
  };
}

const Family indexing_lines(indexing);

const std::string shape = "the shape of the result depends on elements, which is not replayed";
const LeftOut masked_select({"masked_select", shape});
const LeftOut nonzero({"nonzero", shape});
const LeftOut unique({"unique", shape});

}  // namespace programs
