#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "autograd/elementwise/elementwise.hpp"
#include "autograd/elementwise/internal/broadcast.hpp"
#include "autograd/kernels/extreme_tangent.hpp"
#include "autograd/kernels/reduce_cut.hpp"
#include "autograd/ops/internal/lines.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/gathered_rows.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {
namespace {

using Flags = InlineVector<bool, 8>;

// A reduction as (outer, n, inner).
struct Plan {
  Tensor x;
  std::int64_t outer = 1, n = 1, inner = 1;
};

// Where the reduced axes are adjacent.
std::optional<Plan> adjacent(const Tensor& x, const Flags& reduced) {
  Plan p{x};
  int stage = 0;  // 0 before, 1 in, 2 behind the reduced axes
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    const std::int64_t size = x.shape()[i];
    if (size == 1) continue;
    if (reduced[i]) {
      if (stage == 2) return {};
      stage = 1;
      p.n *= size;
    } else {
      stage = stage == 0 ? 0 : 2;
      (stage == 0 ? p.outer : p.inner) *= size;
    }
  }
  return p;
}

// Elsewhere the input is permuted first.
Plan plan(const Tensor& x, const Flags& reduced) {
  if (auto p = adjacent(x, reduced)) return *std::move(p);
  Axes order;
  Plan p;
  for (const bool last : {false, true})
    for (std::size_t i = 0; i < reduced.size(); ++i)
      if (reduced[i] == last) {
        order.push_back(static_cast<std::int64_t>(i));
        (last ? p.n : p.outer) *= x.shape()[i];
      }
  const NoGrad off;
  p.x = permute(x, order);
  return p;
}

// The longest run of reduced axes with no others between them.
Flags longest_run(const Shape& shape, const Flags& reduced) {
  Flags longest(reduced.size(), false), run = longest;
  std::int64_t most = 1, n = 1;
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    if (shape[i] != 1 && !reduced[i]) {
      run = Flags(reduced.size(), false);
      n = 1;
    }
    if (!reduced[i]) continue;
    run[i] = true;
    n *= shape[i];
    if (n >= most) longest = run, most = n;
  }
  return longest;
}

// Calls run(plan, out), run by run: what is left of the longest is smaller than a copy in another order.
template <class Run>
void reduce_runs(const Tensor& x, const Flags& reduced, Tensor& out, const Run& run) {
  if (const auto p = adjacent(x, reduced)) return run(*p, out);
  if (x.numel() == 0) return run(plan(x, reduced), out);
  const Flags longest = longest_run(x.shape(), reduced);
  Tensor part = empty(shapes::reduce(x.shape(), longest, true), x.dtype());
  run(*adjacent(x, longest), part);
  reduce_runs(part, reduced, out, run);
}

template <class T, class F>
void reduce_integers(const Plan& p, Tensor& out, std::int64_t start, F&& f) {
  const auto* in = static_cast<const T*>(p.x.raw());
  auto* o = static_cast<std::int64_t*>(out.raw_mutable());
  std::fill_n(o, p.outer * p.inner, start);
  for (std::int64_t a = 0; a < p.outer; ++a, o += p.inner)
    for (std::int64_t k = 0; k < p.n; ++k)
      for (std::int64_t i = 0; i < p.inner; ++i) o[i] = f(o[i], static_cast<std::int64_t>(*in++));
}

std::int64_t add_wrapping(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

// Of a sample, behind the axis of samples.
Flags behind(const Flags& reduced) {
  Flags flags(1, false);
  flags.append(reduced.begin(), reduced.end());
  return flags;
}

struct Sum {
  static constexpr bool kTotal = true;
  Flags reduced;
  Shape kept;  // the shape of the result with keepdims
  XGRAD_ATTRIBUTES(reduced, kept)

  std::string_view name() const { return "sum"; }
  TensorSpec infer(const Inputs& in) const {
    return {kept, is_floating(in[0].dtype()) ? in[0].dtype() : int64};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (in[0].dtype() == int64)
      return reduce_integers<std::int64_t>(plan(in[0], reduced), out, 0, add_wrapping);
    if (in[0].dtype() == boolean)
      return reduce_integers<bool>(plan(in[0], reduced), out, 0, add_wrapping);
    dispatch_floating("sum", in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      reduce_runs(in[0], reduced, out, [](const Plan& p, Tensor& to) {
        kernels::Sum<T>::run(static_cast<const T*>(p.x.raw()), static_cast<T*>(to.raw_mutable()),
                             p.outer, p.n, p.inner, p.inner);
      });
    });
  }
  detail::Pass pass(const Inputs& in, const Tensor& out) const {
    return {.adds_up = out.numel() == 1 && is_floating(in[0].dtype())};
  }
  TensorList backward(const Call& call) const {
    const Tensor rows = internal::repeated_rows(call.grad(), call.input_shape(0));
    return {rows.defined() ? rows : expand(call.grad(), call.input_shape(0))};
  }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const {
    return in.call(Sum{behind(reduced), internal::with_front(in.samples(), kept)}, {in[0]});
  }
};

// 1 where x is the extreme y, and 0 elsewhere: those share the derivative. Where NaN is the result,
// NaN elements do.
Tensor hits_of(const Tensor& x, const Tensor& y) {
  static const auto hits = elementwise("extreme_hits", [](auto x, auto y) {
    return where(x == y, 1, where(x != x, 1, 0 * sign(x)));  // sign: 0 · inf is NaN
  });
  return hits(x.detach(), y.detach());
}

// The mean of t over the hits, from x, y and t.
struct ExtremeTangent {
  static constexpr bool kTotal = true;
  Flags reduced;
  XGRAD_ATTRIBUTES(reduced)

  std::string_view name() const { return "extreme_tangent"; }
  void forward(const Inputs& in, Tensor& out) const {
    const Plan p = plan(in[0], reduced), tangents = plan(in[2], reduced);
    dispatch_floating(name(), out.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto *x = static_cast<const T*>(p.x.raw()), *y = static_cast<const T*>(in[1].raw()),
                 *t = static_cast<const T*>(tangents.x.raw());
      auto* o = static_cast<T*>(out.raw_mutable());
      const std::int64_t size = p.n * p.inner;
      parallel_for(p.outer, 1, kernels::cut::kReduced<T> * static_cast<double>(size),
                   [&](std::int64_t begin, std::int64_t end) {
                     kernels::ExtremeTangent<T>::here(x + begin * size, y + begin * p.inner,
                                                      t + begin * size, o + begin * p.inner,
                                                      end - begin, p.n, p.inner);
                   });
    });
  }
  TensorList batch(const internal::Batch& in) const {
    return in.call(ExtremeTangent{behind(reduced)}, {in.whole(0), in.whole(1), in.whole(2)});
  }
};

struct Extreme {
  static constexpr bool kTotal = true;
  bool largest;
  Flags reduced;
  Shape kept;
  XGRAD_ATTRIBUTES(largest, reduced, kept)

  std::string_view name() const { return largest ? "max" : "min"; }
  TensorSpec infer(const Inputs& in) const {
    if (in[0].dtype() == boolean) fail(name(), "needs numbers, got bool; convert with .to(int64)");
    for (std::size_t i = 0; i < reduced.size(); ++i)
      if (reduced[i] && in[0].shape()[i] == 0)
        fail(name(), "the reduced axes must not be empty, got shape {}", in[0].shape());
    return {kept, in[0].dtype()};
  }
  void forward(const Inputs& in, Tensor& out) const {
    if (out.numel() == 0) return;
    if (in[0].dtype() == int64) {
      using Limits = std::numeric_limits<std::int64_t>;
      return reduce_integers<std::int64_t>(
          plan(in[0], reduced), out, largest ? Limits::min() : Limits::max(),
          [this](auto a, auto b) { return largest ? std::max(a, b) : std::min(a, b); });
    }
    dispatch_floating(name(), in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      reduce_runs(in[0], reduced, out, [this](const Plan& p, Tensor& to) {
        (largest ? kernels::Max<T>::run : kernels::Min<T>::run)(static_cast<const T*>(p.x.raw()),
                                                                static_cast<T*>(to.raw_mutable()),
                                                                p.outer, p.n, p.inner, p.inner);
      });
    });
  }
  unsigned saves() const { return save_input(0) | kSaveOutput; }
  TensorList backward(const Call& call) const {
    const Tensor hit = hits_of(call.input(0), call.output());
    return {hit * (call.grad() / sum_to(hit, kept))};
  }
  TensorList jvp(const Call& call) const {
    const Tensor &x = call.input_value(0), &y = call.output_value(), &t = call.tangent(0);
    if (grad_enabled()) {
      const Tensor hit = hits_of(x, y);
      return {sum_to(hit * t, kept) / sum_to(hit, kept)};
    }
    Tensor out = empty(kept, t.dtype());
    compute_into(out, ExtremeTangent{reduced}, x, y, t);
    return {out};
  }
  TensorList batch(const internal::Batch& in) const {
    return in.call(Extreme{largest, behind(reduced), internal::with_front(in.samples(), kept)},
                   {in[0]});
  }
};

struct ArgExtreme {
  bool largest;
  std::int64_t axis;
  bool keepdims;
  XGRAD_ATTRIBUTES(largest, axis, keepdims)

  std::string_view name() const { return largest ? "argmax" : "argmin"; }
  TensorSpec infer(const Inputs& in) const {
    Flags reduced(in[0].shape().size(), false);
    if (!reduced.empty()) reduced[static_cast<std::size_t>(axis)] = true;
    if (in[0].ndim() > 0 && in[0].size(axis) == 0)
      fail(name(), "the axis must not be empty, got shape {}", in[0].shape());
    return {shapes::reduce(in[0].shape(), reduced, keepdims), int64};
  }
  void forward(const Inputs& in, Tensor& out) const {
    const internal::Lines s(in[0].shape(), axis);
    const std::int64_t n = s.n, inner = s.inner;
    dispatch(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      const auto* x = static_cast<const T*>(in[0].raw());
      auto* o = static_cast<std::int64_t*>(out.raw_mutable());
      for (std::int64_t r = 0; r < out.numel(); ++r) {
        const T* row = x + r / inner * n * inner + r % inner;
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < n; ++k) {
          const T a = row[k * inner], b = row[best * inner];
          if ((largest ? a > b : a < b) || (a != a && b == b)) best = k;
        }
        o[r] = best;
      }
    });
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(ArgExtreme{largest, axis + 1, keepdims}, {in[0]});
  }
};

Shape squeezed(const Shape& kept, const Flags& reduced) {
  Shape s;
  for (std::size_t i = 0; i < kept.size(); ++i)
    if (!reduced[i]) s.push_back(kept[i]);
  return s;
}

// Runs a reduction that keeps its axes, and drops them unless they are to stay.
template <class Op>
Tensor reduced(Op op, const Tensor& x, const Axes& axes, bool keepdims) {
  check_defined(op.name(), Inputs(std::array{&x}));
  op.reduced = shapes::axes(op.name(), axes, x.shape());
  op.kept = shapes::reduce(x.shape(), op.reduced, true);
  const Tensor y = apply(op, x);
  return keepdims || y.ndim() == 0 ? y : reshape(y, squeezed(op.kept, op.reduced));
}

}  // namespace

Tensor sum(const Tensor& x, const Axes& axes, bool keepdims) {
  internal::check_defined("sum", x);
  return reduced(Sum{}, x, axes, keepdims);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  internal::check_defined("sum_to", x);
  if (x.shape() == shape) return x;
  shapes::check_expand("sum_to", shape, x.shape());
  Sum op;
  const auto extra = x.shape().size() - shape.size();
  for (std::size_t i = 0; i < x.shape().size(); ++i)
    op.reduced.push_back(i < extra || (shape[i - extra] == 1 && x.shape()[i] != 1));
  op.kept = shapes::reduce(x.shape(), op.reduced, true);
  const Tensor y = apply(op, x);
  return extra ? reshape(y, shape) : y;
}

Tensor mean(const Tensor& x, const Axes& axes, bool keepdims) {
  internal::check_defined("mean", x);
  internal::check_floating("mean", x);
  const auto n = internal::reduced_count("mean", x, axes);
  return sum(x, axes, keepdims) / static_cast<double>(n);
}

Tensor max(const Tensor& x, const Axes& axes, bool keepdims) {
  internal::check_defined("max", x);
  return reduced(Extreme{true, {}, {}}, x, axes, keepdims);
}
Tensor min(const Tensor& x, const Axes& axes, bool keepdims) {
  internal::check_defined("min", x);
  return reduced(Extreme{false, {}, {}}, x, axes, keepdims);
}

Tensor logsumexp(const Tensor& x, const Axes& axes, bool keepdims) {
  internal::check_defined("logsumexp", x);
  internal::check_floating("logsumexp", x);
  const Flags flags = shapes::axes("logsumexp", axes, x.shape());
  if (x.numel() == 0) return sum(x, axes, keepdims) - HUGE_VAL;
  const Tensor top = max(x.detach(), axes, true);
  // An infinite maximum must not become inf - inf.
  const Tensor shift = where(abs(top) == HUGE_VAL, 0.0, top);
  const Tensor total = sum(exp(x - shift), axes, true), none = total == 0.0;
  const Tensor y = where(none, -HUGE_VAL, log(where(none, 1.0, total)) + shift);
  return keepdims || y.ndim() == 0 ? y : reshape(y, squeezed(y.shape(), flags));
}

Tensor argmax(const Tensor& x, std::int64_t axis, bool keepdims) {
  internal::check_defined("argmax", x);
  return apply(ArgExtreme{true, shapes::axis("argmax", axis, x.shape()), keepdims}, x);
}
Tensor argmin(const Tensor& x, std::int64_t axis, bool keepdims) {
  internal::check_defined("argmin", x);
  return apply(ArgExtreme{false, shapes::axis("argmin", axis, x.shape()), keepdims}, x);
}

}  // namespace autograd
