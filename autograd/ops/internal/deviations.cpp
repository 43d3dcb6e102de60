#include "autograd/ops/internal/deviations.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/elementwise/elementwise.hpp"
#include "autograd/ops/internal/lines.hpp"
#include "autograd/ops/ops.hpp"
#include "autograd/tape/internal/batch.hpp"
#include "autograd/tape/internal/tape.hpp"

// Sums of squares, and what is made of them: variance, standard deviation, Euclidean norm. Squares
// leave the range of a dtype long before their roots and means do. So the plain formula is computed
// first, and where that shows in its result, the same in other units.
namespace autograd {
namespace {

// What forwards do between their inputs and outputs is neither recorded nor watched.
struct Inside {
  const NoGrad off{};
  const AnomalyMode calm{false};
};

// Every element is finite and at least `least`.
bool within(const Tensor& t, double least) {
  return dispatch_floating("within", t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto* p = static_cast<const T*>(t.raw());
    return std::all_of(p, p + t.numel(),
                       [=](T v) { return v >= least && v <= std::numeric_limits<T>::max(); });
  });
}

// The mean over axes, which stay with size 1, also where the sum is too large.
struct SteadyMean {
  Axes axes;
  Shape kept;
  double n;
  XGRAD_ATTRIBUTES(axes, kept, n)

  std::string_view name() const { return "mean"; }
  TensorSpec infer(const Inputs& in) const { return {kept, in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const Inside inside;
    Tensor m = sum(in[0], axes, true) / n;
    if (!within(m, -HUGE_VAL)) {
      const Tensor near = sum(in[0] * (1 / n), axes, true);
      const Tensor rest = sum((in[0] - near) * (1 / n), axes, true);
      m = where(isfinite(m), m, near + where(isfinite(rest), rest, 0.0));
    }
    internal::convert(m, out);
  }
  TensorList backward(const Call& call) const {
    return {expand(call.grad() / n, call.input_shape(0))};
  }
  static Jacobian jacobian() { return Jacobian::linear; }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(SteadyMean{in.behind(axes, 0), internal::with_front(in.samples(), kept), n},
                   {in[0]});
  }
};

// Σ x² / divisor over axes, which stay with size 1, or its root.
struct Squares {
  std::string_view op;
  Axes axes;
  Shape kept;
  double divisor;
  bool root;
  XGRAD_ATTRIBUTES(op, axes, kept, divisor, root)

  std::string_view name() const { return op; }
  TensorSpec infer(const Inputs& in) const { return {kept, in[0].dtype()}; }
  void forward(const Inputs& in, Tensor& out) const {
    const Inside inside;
    const double tiny = out.dtype() == float32 ? 1e-30 : 1e-280;
    Tensor total = sum(square(in[0]), axes, true);
    if (within(total, root ? tiny : 0.0) || in[0].numel() == 0) {
      total = total / divisor;
      return internal::convert(root ? sqrt(total) : total, out);
    }
    // By powers of two, so that other lines get the bits that they had.
    const Tensor size = max(abs(in[0]), axes, true);
    const Tensor usual = (size == 0.0) | ~isfinite(size);
    const Tensor unit = exp2(floor(log2(where(usual, 1.0, size))));
    total = sum(square(in[0] / unit), axes, true) / divisor;
    internal::convert(root ? sqrt(total) * unit : total * unit * unit, out);
  }
  unsigned saves() const { return save_input(0) | (root ? kSaveOutput : 0); }
  TensorList backward(const Call& call) const {
    const Tensor x = call.input(0), &g = call.grad();
    if (!root) return {x * (g * (2 / divisor))};
    const Tensor y = call.output(), zero = y == 0.0;
    return {x / where(zero, 1.0, y) * where(zero, 0.0, g / divisor)};
  }
  TensorList jvp(const Call& call) const {
    static const auto shares = elementwise(
        "norm_tangent", [](auto x, auto y, auto t) { return where(y == 0, 0, x / y) * t; });
    const Tensor x = call.input(0), &t = call.tangent(0);
    if (!root) return {sum_to(x * t, kept) * (2 / divisor)};
    const Tensor y = call.output();
    if (!grad_enabled()) return {sum_to(shares(x, y, t), kept) / divisor};
    const Tensor zero = y == 0.0;
    return {where(zero, 0.0, sum_to(x / where(zero, 1.0, y) * t, kept) / divisor)};
  }
  TensorList batch(const internal::Batch& in) const {
    if (in.shape(0).empty()) return {};
    return in.call(
        Squares{op, in.behind(axes, 0), internal::with_front(in.samples(), kept), divisor, root},
        {in[0]});
  }
};

Tensor of_squares(std::string_view op, const Tensor& x, const Axes& axes, bool keepdims,
                  double divisor, bool root) {
  const auto flags = shapes::axes(op, axes, x.shape());
  const Tensor y =
      apply(Squares{op, axes, shapes::reduce(x.shape(), flags, true), divisor, root}, x);
  return keepdims ? y : reshape(y, shapes::reduce(x.shape(), flags, false));
}

// Σ (x - mean)² over the degrees of freedom, or its root.
Tensor deviation(std::string_view op, const Tensor& x, const Axes& axes, bool keepdims,
                 double correction, bool root) {
  internal::check_floating(op, x);
  const auto n = static_cast<double>(internal::reduced_count(op, x, axes));
  const Shape kept = shapes::reduce(x.shape(), shapes::axes(op, axes, x.shape()), true);
  const Tensor centred = x - apply(SteadyMean{axes, kept, n}, x);
  // No degrees of freedom left: 0 / 0, as in PyTorch.
  return of_squares(op, centred, axes, keepdims, std::max(n - correction, 0.0), root);
}

}  // namespace

Tensor internal::root_of_squares(std::string_view op, const Tensor& x, const Axes& axes,
                                 bool keepdims, double divisor) {
  return of_squares(op, x, axes, keepdims, divisor, true);
}

Tensor var(const Tensor& x, const Axes& axes, bool keepdims, double correction) {
  const detail::Named as("var");
  return deviation("var", x, axes, keepdims, correction, false);
}

Tensor std(const Tensor& x, const Axes& axes, bool keepdims, double correction) {
  const detail::Named as("std");
  return deviation("std", x, axes, keepdims, correction, true);
}

VarianceAndMean var_mean(const Tensor& x, const Axes& axes, bool keepdims, double correction) {
  const detail::Named as("var_mean");
  return {deviation("var_mean", x, axes, keepdims, correction, false), mean(x, axes, keepdims)};
}

}  // namespace autograd
