#include "tests/autograd/programs/programs.hpp"

namespace ag = autograd;

namespace programs {

// Keep values in range inside the call or say when it may be called.
std::vector<Op> reductions() {
  return {
      // Reductions.
      PROGRAM_OP(1, true, ag::sum(a)),
      PROGRAM_OP(1, has_axes(a), ag::sum(a, axis, flag)),
      PROGRAM_OP(1, filled(a), ag::mean(a, axis, flag)),
      PROGRAM_OP(1, filled(a), ag::mean(a, {}, flag)),
      PROGRAM_OP(1, distinct(a), ag::max(a, axis, flag)),
      PROGRAM_OP(1, distinct(a), ag::min(a, {}, flag)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1, ag::var(a, axis, flag)),
      PROGRAM_OP(1, filled(a), ag::var(a, axis, flag, 0)),
      PROGRAM_OP(1, filled(a), ag::logsumexp(a, axis, flag)),
      PROGRAM_OP(1, has_axes(a), ag::prod(a, axis, flag)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1 && distinct(a), ag::std(a, axis, flag)),
      PROGRAM_OP(1, filled(a) && away(a, 0), ag::norm(a, 2, axis, flag)),
      PROGRAM_OP(1, filled(a) && away(a, 0), ag::norm(a, 3, {}, flag)),
      PROGRAM_OP(1, has_axes(a), ag::cumsum(a, axis)),
      PROGRAM_OP(1, has_axes(a), ag::cumprod(a, axis)),
      PROGRAM_OP(1, has_axes(a) && filled(a), ag::logcumsumexp(a, axis)),
      PROGRAM_OP(1, has_axes(a) && distinct(a), ag::sort(a, axis, flag).values),
      PROGRAM_OP(1, distinct(a), ag::median(a, axis, flag)),
      PROGRAM_OP(1, distinct(a), ag::quantile(a, 0.3, axis, flag)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1, ag::diff(a, 1, axis)),
      PROGRAM_OP(1, has_axes(a) && filled(a) && away(a, 0), ag::normalize(a, 2, axis)),
      PROGRAM_OP(1, distinct(a), ag::amax(a, axis, flag)),
      PROGRAM_OP(1, distinct(a), ag::amin(a, {}, flag)),
      PROGRAM_OP(1, has_axes(a) && a.size(axis) > 1,
                 ag::var_mean(a, axis, flag).mean * ag::var_mean(a, axis, flag).var),
      PROGRAM_OP(1, has_axes(a), ag::nansum(a, axis, flag)),
      PROGRAM_OP(1, filled(a), ag::nanmean(a, axis, flag)),
      PROGRAM_OP(1, has_axes(a) && distinct(a),
                 ag::take_along_axis(a, ag::argmin(a, axis, true), axis)),
      PROGRAM_OP(1, has_axes(a) && distinct(a),
                 ag::sum(a * ag::one_hot(ag::argmax(a), a.size(-1)).to(a.dtype()), -1)),
      PROGRAM_OP(1, has_axes(a) && away(a, 0), ag::where(ag::all(a > 0, axis, true), a, -a)),
      PROGRAM_OP(1, has_axes(a) && away(a, 0), ag::where(ag::any(a > 0, axis, true), a, -a)),
      PROGRAM_OP(1, has_axes(a) && away(a, 0),
                 a * ag::count_nonzero(a > 0, axis, true).to(a.dtype())),
      PROGRAM_OP(1, has_axes(a) && distinct(a), ag::gather(a, axis, ag::argsort(a, axis, flag))),
      PROGRAM_OP(1, has_axes(a) && distinct(a), ag::topk(a, length, axis, flag).values),
      PROGRAM_OP(1, has_axes(a) && distinct(a), ag::kthvalue(a, length, axis, flag).values),
      PROGRAM_OP(2, a.ndim() == 1 && distinct(a) && apart(ag::unsqueeze(b, -1), a),
                 b + ag::searchsorted(ag::sort(a).values, b).to(b.dtype())),
      PROGRAM_OP(2, has_axes(a) && filled(a) && b.shape() == grid.shape(),
                 ag::bincount(ag::flatten(ag::abs(grid)), ag::flatten(b), 5)),
      PROGRAM_OP(1, has_axes(a) && distinct(a), ag::cummax(a, axis).values),
      PROGRAM_OP(1, has_axes(a) && distinct(a), ag::cummin(a, axis).values),
      PROGRAM_OP(1, has_axes(a), ag::trapezoid(a, 0.5, axis)),
      PROGRAM_OP(2, has_axes(a) && same_shape(a, b) && away(a, 0) && away(b, 0),
                 ag::cosine_similarity(a, b, axis)),
      PROGRAM_OP(1, a.ndim() == 2 && a.size(1) > 1, ag::cov(a)),
      PROGRAM_OP(1, uncorrelated(a, ag::cos(2.0 * a)),
                 ag::corrcoef(ag::stack({ag::flatten(a), ag::cos(2.0 * ag::flatten(a))}, 0))),
  };
}

const Family reductions_lines(reductions);

}  // namespace programs
