#include "autograd/ops/neural/fold.hpp"
#include "autograd/ops/neural/interpolate.hpp"
#include "autograd/ops/neural/pooling.hpp"
#include "autograd/ops/reductions/counts.hpp"
#include "autograd/ops/reductions/numeric.hpp"
#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {

// Resampling, windows and pooling of all elements in a row; bins and polynomials.
std::vector<Op> resampling() {
  return {
      PROGRAM_OP(
          1, filled(a),
          ag::interpolate(ag::reshape(a, {1, 1, -1}),
                          {.size = 3, .mode = ag::InterpolateMode::linear, .align_corners = flag})),
      PROGRAM_OP(
          1, filled(a) && a.numel() <= 20,
          ag::interpolate(
              ag::reshape(a, {1, 1, 1, -1}),
              {.scale_factor = {2, 1.5}, .mode = ag::InterpolateMode::bicubic, .antialias = flag})),
      PROGRAM_OP(1, a.numel() > 1, ag::im2col(ag::reshape(a, {1, 1, -1}), {1, 2})),
      PROGRAM_OP(1, filled(a) && a.numel() % 2 == 0,
                 ag::fold(ag::reshape(a, {1, 2, -1}), {1, a.numel() / 2 + 1}, {1, 2})),
      PROGRAM_OP(
          1, filled(a) && distinct(a),
          ag::max_unpool1d(ag::reshape(a, {1, -1}), ag::argsort(ag::reshape(a, {1, -1})), 2)),
      PROGRAM_OP(
          1, filled(a) && distinct(a),
          ag::max_unpool2d(ag::reshape(a, {1, 1, -1}), ag::argsort(ag::reshape(a, {1, 1, -1})), 2)),
      PROGRAM_OP(1, filled(a) && distinct(a),
                 ag::max_unpool3d(ag::reshape(a, {1, 1, 1, -1}),
                                  ag::argsort(ag::reshape(a, {1, 1, 1, -1})), {1, 1, 2})),
      PROGRAM_OP(1, a.numel() > 1 && above(a, 0.3),
                 ag::lp_pool1d(ag::reshape(a, {1, -1}), 1.5, 2, {.stride = 1})),
      PROGRAM_OP(1, a.numel() > 1 && above(a, 0.3),
                 ag::lp_pool2d(ag::reshape(a, {1, 1, -1}), 2, {1, 2}, {.ceil_mode = flag})),
      PROGRAM_OP(1, a.numel() > 1 && above(a, 0.3),
                 ag::lp_pool3d(ag::reshape(a, {1, -1, 1, 1}), 3, {2, 1, 1})),
      PROGRAM_OP(1, filled(a), ag::nanvar(a, axis, flag, 0)),
      PROGRAM_OP(1, filled(a) && above(ag::var(a, axis, false, 0), 0.01),
                 ag::nanstd(a, axis, flag, 0)),
      PROGRAM_OP(2, filled(a) && a.ndim() == 1 && a.numel() <= 4, ag::polyval(a, b)),
      PROGRAM_OP(1, filled(a), ag::where(ag::isclose(a, a + 1.0, 0, 0.5), a, 2.0 * a)),
      PROGRAM_OP(1, away(a, 0), a + ag::bucketize(a, ag::zeros({1}, a.dtype())).to(a.dtype())),
      PROGRAM_OP(1, filled(a),
                 ag::histogram(ag::zeros(a.shape(), a.dtype()), 2,
                               {.range = std::pair(-1.0, 1.0), .weight = a})
                     .counts),
      PROGRAM_OP(1, away(a, 0), ag::histc(a, 2, -1e6, 1e6) * ag::sum(a)),
  };
}

const Family resampling_lines(resampling);

}  // namespace programs
