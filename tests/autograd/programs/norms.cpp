#include "autograd/ops/neural/norms.hpp"
#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {

// Normalisation of all elements in a row, or of lines, with an eps that keeps derivatives small.
std::vector<Op> norms() {
  return {
      PROGRAM_OP(1, a.numel() > 1,
                 ag::batch_norm(ag::reshape(a, {1, 1, -1}), {}, {}, {}, {},
                                {.training = true, .eps = 0.5})),
      PROGRAM_OP(
          1, a.ndim() > 1 && filled(a),
          ag::batch_norm(a, ag::ones({a.size(1)}, a.dtype()), ag::full({a.size(1)}, 2, a.dtype()))),
      PROGRAM_OP(1, a.numel() > 1,
                 ag::instance_norm(ag::reshape(a, {1, 1, -1}), {}, {}, {}, {}, {.eps = 0.5})),
      PROGRAM_OP(1, a.ndim() > 1 && filled(a), ag::group_norm(a, a.size(1), {}, {}, 0.5)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::rms_norm(a, {a.size(-1)}, {}, 0.5)),
      PROGRAM_OP(1, filled(a),
                 ag::local_response_norm(ag::reshape(a, {1, -1, 1}), 3, 0.5, 0.75, 1)),
  };
}

const Family norms_lines(norms);

}  // namespace programs
