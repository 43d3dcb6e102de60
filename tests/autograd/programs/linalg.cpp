#include "autograd/ops/neural/attention.hpp"
#include "autograd/ops/neural/positions.hpp"
#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {

// Keep values in range inside the call or say when it may be called.
std::vector<Op> linalg() {
  return {
      // Products and fused operations.
      PROGRAM_OP(2, multiply(a, b), ag::matmul(a, b)),
      PROGRAM_OP(1, a.ndim() > 1, ag::matmul(a, ag::transpose(a))),
      PROGRAM_OP(2, a.ndim() == 1 && b.ndim() == 1, ag::outer(a, b)),
      PROGRAM_OP(2, a.ndim() == 2 && b.ndim() == 2 && a.size(1) == b.size(0),
                 ag::einsum("ij,jk->ki", {a, b})),
      PROGRAM_OP(1, is_square(a),
                 ag::inv(ag::matmul(a, ag::transpose(a)) + ag::eye(a.size(0), a.dtype()))),
      PROGRAM_OP(1, is_square(a), ag::det(a)),
      PROGRAM_OP(1, is_square(a),
                 ag::cholesky(ag::matmul(a, ag::transpose(a)) + ag::eye(a.size(0), a.dtype()))),
      PROGRAM_OP(1, is_square(a), ag::matrix_exp(0.3 * a)),
      PROGRAM_OP(2, has_axes(a) && b.ndim() == 2 && a.size(-1) == b.size(1), ag::linear(a, b)),
      PROGRAM_OP(1, filled(a), ag::softmax(a, axis)),
      PROGRAM_OP(1, filled(a), ag::log_softmax(a, axis)),
      PROGRAM_OP(1, has_axes(a) && a.size(-1) > 1, ag::layer_norm(a, {a.size(-1)}, {}, {}, 0.1)),
      PROGRAM_OP(2, a.ndim() == 2 && filled(a) && same_shape(a, b),
                 ag::cross_entropy(a, ag::softmax(b, 1))),
      PROGRAM_OP(2, a.ndim() > 1 && filled(a) && same_shape(a, b),
                 ag::scaled_dot_product_attention(a, b, b, {.is_causal = flag})),
      PROGRAM_OP(2, a.ndim() > 1 && filled(a) && same_shape(a, b), ag::attention_weights(a, b)),
      PROGRAM_OP(1, filled(a) && a.numel() % 3 == 0,
                 ag::packed_attention({ag::reshape(a, {1, -1, 3})}, 1)),
      PROGRAM_OP(1, a.ndim() > 1 && filled(a) && a.size(-1) % 2 == 0,
                 ag::rotary_embedding(a, {.offset = 2})),
      PROGRAM_OP(1, a.ndim() == 2 && filled(a),
                 a + ag::sinusoidal_positions(a.size(0), a.size(1), a.dtype())),
      PROGRAM_OP(2, a.ndim() == 1 && same_shape(a, b), ag::dot(a, b)),
      PROGRAM_OP(2, a.ndim() == 1 && same_shape(a, b), ag::vdot(a, b)),
      PROGRAM_OP(2, has_axes(a) && has_axes(b) && a.size(-1) == b.size(-1), ag::inner(a, b)),
      PROGRAM_OP(2, a.numel() * b.numel() <= 150, ag::kron(a, b)),
      PROGRAM_OP(
          2, broadcast(a, b) && has_axes(a) && has_axes(b) && a.size(-1) == 3 && b.size(-1) == 3,
          ag::cross(a, b)),
      PROGRAM_OP(1, a.ndim() > 1, ag::trace(a)),
      PROGRAM_OP(1, a.ndim() == 2, ag::multi_dot({a, ag::transpose(a), a})),
      PROGRAM_OP(2, has_axes(a) && has_axes(b) && a.size(-1) == b.size(0), ag::tensordot(a, b, 1)),
      PROGRAM_OP(1, is_square(a),
                 ag::solve(ag::matmul(a, ag::transpose(a)) + ag::eye(a.size(0), a.dtype()), a)),
      PROGRAM_OP(
          1, is_square(a),
          ag::solve_triangular(ag::tril(a, -1) + ag::eye(a.size(0), a.dtype()), a, false, flag)),
      PROGRAM_OP(1, is_square(a),
                 ag::cholesky_solve(a, ag::tril(a, -1) + ag::eye(a.size(0), a.dtype()))),
      PROGRAM_OP(1, regular(a), ag::lstsq(a, ag::sin(a))),
      PROGRAM_OP(1, regular(a), ag::pinv(a)),
      PROGRAM_OP(1, is_square(a) && regular(a), ag::slogdet(a).logabsdet),
      PROGRAM_OP(1, regular(a) && a.size(0) >= a.size(1), ag::qr(a).R),
      PROGRAM_OP(1, regular(a), ag::square(ag::svd(a).U)),
      PROGRAM_OP(1, regular(a), ag::svdvals(a)),
      PROGRAM_OP(1, is_square(a) && simple(a),
                 ag::square(ag::eigh(a + ag::transpose(a)).eigenvectors)),
      PROGRAM_OP(1, is_square(a) && simple(a), ag::eigvalsh(a + ag::transpose(a))),
      PROGRAM_OP(1, is_square(a), ag::matrix_power(a, 2)),
      PROGRAM_OP(1, a.ndim() == 2 && filled(a) && away(a, 0), ag::matrix_norm(a)),
      PROGRAM_OP(1, regular(a), ag::cond(a)),
      PROGRAM_OP(
          1, a.ndim() == 2 && a.size(0) > 0 && a.size(1) > 1,
          ag::ctc_loss(ag::log_softmax(a), ag::full({1}, 1, ag::int64),
                       ag::full({}, double(a.size(0)), ag::int64), ag::full({}, 1, ag::int64))),
  };
}

const Family linalg_lines(linalg);
const LeftOut matrix_rank(
    {"matrix_rank", "counts by a threshold that is rounding, so that nearby programs differ"});

}  // namespace programs
