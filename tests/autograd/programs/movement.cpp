#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {

// Keep values in range inside the call or say when it may be called.
std::vector<Op> movement() {
  return {
      // Movement, views among it.
      PROGRAM_OP(1, true, ag::reshape(a, shape)),
      PROGRAM_OP(1, true, ag::flatten(a)),
      PROGRAM_OP(1, true, ag::squeeze(a)),
      PROGRAM_OP(1, true, ag::unsqueeze(a, axis)),
      PROGRAM_OP(1, true, ag::permute(a, order)),
      PROGRAM_OP(1, has_axes(a), ag::transpose(a, axis, other)),
      PROGRAM_OP(2, broadcast(a, b), ag::expand(a, (a + b).shape())),
      PROGRAM_OP(2, broadcast(a, b) && (a + b).shape() == a.shape(), ag::sum_to(a, b.shape())),
      PROGRAM_OP(2, has_axes(a) && same_shape(a, b), ag::concat({a, b}, axis)),
      PROGRAM_OP(3, same_shape(a, b) && same_shape(a, c), ag::stack({a, b, c}, axis)),
      PROGRAM_OP(1, has_axes(a), ag::flip(a, axis)),
      PROGRAM_OP(1, has_axes(a), ag::roll(a, step, axis)),
      PROGRAM_OP(1, has_axes(a), ag::repeat_interleave(a, 2, axis)),
      PROGRAM_OP(1, has_axes(a), ag::pad(a, {1, 2})),
      PROGRAM_OP(1, has_axes(a) && a.size(-1) > 2, ag::pad(a, {1, 2}, ag::PadMode::reflect)),
      PROGRAM_OP(1, a.ndim() > 1, ag::diagonal(a, 0, axis, axis == a.ndim() - 1 ? 0 : axis + 1)),
      PROGRAM_OP(1, a.ndim() > 1, ag::tril(a)),
      PROGRAM_OP(1, a.ndim() > 1, ag::triu(a, 1)),
      PROGRAM_OP(1, has_axes(a), ag::diag_embed(a)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1, ag::unfold(a, axis, 2, 1)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::unbind(a, axis).back()),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::chunk(a, 2, axis).front()),
      PROGRAM_OP(1, filled(a), ag::unflatten(ag::flatten(a), 0, shape)),
      PROGRAM_OP(1, true, ag::ravel(a)),
      PROGRAM_OP(1, has_axes(a), ag::swapaxes(a, axis, other)),
      PROGRAM_OP(1, has_axes(a), ag::movedim(a, {axis}, {other})),
      PROGRAM_OP(2, broadcast(a, b), ag::broadcast_to(a, (a + b).shape())),
      PROGRAM_OP(2, broadcast(a, b), ag::broadcast_tensors({a, b})[1]),
      PROGRAM_OP(2, same_shape(a, b), ag::vstack({a, b})),
      PROGRAM_OP(2, same_shape(a, b), ag::hstack({a, b})),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::split(a, 1, axis).back()),
      PROGRAM_OP(1, a.ndim() <= 1, ag::repeat(a, {2})),
      PROGRAM_OP(1, true, ag::tile(a, {2})),
      PROGRAM_OP(1, a.ndim() > 1, ag::rot90(a, step)),
      PROGRAM_OP(1, a.ndim() == 1 || a.ndim() == 2, ag::diag(a)),
      PROGRAM_OP(2, a.ndim() <= 1 && b.ndim() <= 1, ag::meshgrid({a, b})[1]),
  };
}

const Family movement_lines(movement);

}  // namespace programs
