#pragma once

#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"

/// Recurrent layers within `vmap`. Internal.
namespace autograd::internal {

/// Samples as more sequences of the batch, for what has the same weights for all of them.
struct Sequences {
  const Batch& in;
  std::int64_t steps, batch;  // of a sample

  /// Input i, (steps, batch, n).
  Tensor by_steps(std::size_t i) const { return joined(in.whole(i)); }
  /// Input i, (steps · batch, n).
  Tensor by_rows(std::size_t i) const {
    const Tensor t = in.whole(i), all = joined(parted_rows(t, t.size(2)));
    return reshape(all, {all.size(0) * all.size(1), all.size(2)});
  }
  /// Input i, all gates and then all that is kept besides: (gates + kept, steps, batch).
  Tensor kept(std::size_t i, std::int64_t gates) const {
    const Tensor t = in.whole(i), all = reshape(t, {in.samples(), t.numel() / in.samples()});
    const std::int64_t rest = t.size(1) - gates, n = steps * batch;
    const Tensor first = joined(parted_rows(narrow(all, 1, 0, n * gates), gates)),
                 second = joined(parted_rows(narrow(all, 1, n * gates, n * rest), rest));
    return reshape(concat({flatten(first), flatten(second)}),
                   {t.size(1), steps, in.samples() * batch});
  }

  /// A result (steps, all sequences, n), (all sequences, n) or empty, with the axis of samples.
  Tensor parted(const Tensor& t) const {
    if (t.ndim() < 3) return in.parted(t, t.numel() > 0 ? batch : 0);
    return movedim(reshape(t, {steps, in.samples(), batch, t.size(2)}), 1, 0);
  }
  /// That of `kept`.
  Tensor parted_kept(const Tensor& t, std::int64_t gates) const {
    const Tensor all = flatten(t);
    const std::int64_t rest = t.size(0) - gates, n = t.size(1) * t.size(2);
    const auto rows = [&](std::int64_t from, std::int64_t width) {
      const Tensor part =
          parted(reshape(narrow(all, 0, from, n * width), {steps, t.size(2), width}));
      return reshape(part, {in.samples(), steps * batch * width});
    };
    return reshape(concat({rows(0, gates), rows(n * gates, rest)}, 1),
                   {in.samples(), t.size(0), steps, batch});
  }
  /// The shape of output i, for all sequences.
  Shape shape(std::size_t i) const {
    Shape s = in.output_shape(i);
    if (s.size() > 1) s[s.size() - 2] *= in.samples();
    return s;
  }

 private:
  Tensor parted_rows(const Tensor& t, std::int64_t width) const {
    return reshape(t, {in.samples(), steps, batch, width});
  }
  Tensor joined(const Tensor& t) const {
    return reshape(movedim(t, 0, 1), {steps, in.samples() * batch, t.size(3)});
  }
};

}  // namespace autograd::internal
