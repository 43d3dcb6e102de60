#include <limits>
#include <numeric>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

// ---------------------------------------------------------------- Reduce…

using Reduction = Tensor (*)(const Tensor&, const ag::Axes&, bool keepdims);

Tensor sum(const Tensor& x, const ag::Axes& axes, bool keep) { return ag::sum(x, axes, keep); }
Tensor mean(const Tensor& x, const ag::Axes& axes, bool keep) { return ag::mean(x, axes, keep); }
Tensor product(const Tensor& x, const ag::Axes& axes, bool keep) { return ag::prod(x, axes, keep); }

// The largest of nothing is -∞, or the least number there is.
template <bool largest>
Tensor extreme(const Tensor& x, const ag::Axes& axes, bool keep) {
  if (x.dtype() == ag::boolean) return largest ? ag::any(x, axes, keep) : ag::all(x, axes, keep);
  const ag::Shape shape =
      ag::shapes::reduce(x.shape(), ag::shapes::axes("axes", axes, x.shape()), keep);
  if (x.numel() > 0 || shape.numel() == 0)
    return largest ? ag::amax(x, axes, keep) : ag::amin(x, axes, keep);
  if (x.dtype() == ag::int64)
    ag::fail("Reduce", "integers must not be empty, got shape {}", x.shape());
  constexpr double kInf = std::numeric_limits<double>::infinity();
  return ag::full(shape, largest ? -kInf : kInf, x.dtype());
}
Tensor l1(const Tensor& x, const ag::Axes& axes, bool keep) {
  return ag::sum(ag::abs(x), axes, keep);
}
Tensor l2(const Tensor& x, const ag::Axes& axes, bool keep) { return ag::norm(x, 2, axes, keep); }
Tensor log_sum(const Tensor& x, const ag::Axes& axes, bool keep) {
  return ag::log(ag::sum(x, axes, keep));
}
Tensor log_sum_exp(const Tensor& x, const ag::Axes& axes, bool keep) {
  return ag::logsumexp(x, axes, keep);
}
Tensor sum_square(const Tensor& x, const ag::Axes& axes, bool keep) {
  return ag::sum(ag::square(x), axes, keep);
}

// Reductions over no axis at all still do to each element what they do to one.
Tensor of_each(Reduction f, const Tensor& x) {
  return ag::reshape(f(ag::unsqueeze(x, -1), {-1}, false), x.shape());
}

template <Reduction f>
Run reduce(Node& node) {
  const bool keep = node.flag("keepdims", true), nothing = node.flag("noop_with_empty_axes");
  const Integers axes = node.integers("axes").value_or(Integers());
  return [=](const Call& call) {
    const Integers over = call.has(1) ? call.integers(1) : axes;
    if (over.empty() && nothing) return one(of_each(f, call[0]));
    return one(f(call[0], axes_of(over), keep));
  };
}

// ---------------------------------------------------------------- order

template <bool largest>
Run arg_extreme(Node& node) {
  const std::int64_t axis = node.integer("axis", 0);
  const bool keep = node.flag("keepdims", true), last = node.flag("select_last_index");
  return unary([=](const Tensor& x) {
    const auto find = largest ? ag::argmax : ag::argmin;
    if (!last) return find(x, axis, keep);
    return static_cast<double>(x.size(axis) - 1) - find(ag::flip(x, axis), axis, keep);
  });
}

Run top_k(Node& node) {
  const std::int64_t axis = node.integer("axis", -1);
  const bool largest = node.flag("largest", true), sorted = node.flag("sorted", true);
  const std::int64_t fixed = node.opset < 10 ? node.integer("k") : 0;
  return [=](const Call& call) {
    const auto [values, indices] =
        ag::topk(call[0], call.has(1) ? call.integer(1) : fixed, axis, largest, sorted);
    return several(values, indices);
  };
}

// ---------------------------------------------------------------- along one axis

// What stands before each element, and at first what a sum or product begins with.
Tensor moved_on(const Tensor& x, std::int64_t axis, double first) {
  if (x.size(axis) == 0) return x;
  const Tensor start = ag::full_like(ag::narrow(x, axis, 0, 1), first);
  return ag::concat({start, ag::narrow(x, axis, 0, x.size(axis) - 1)}, axis);
}

template <Tensor (*f)(const Tensor&, std::int64_t), int first>
Run cumulative(Node& node) {
  const bool exclusive = node.flag("exclusive"), reverse = node.flag("reverse");
  return [=](const Call& call) {
    const std::int64_t axis = call.integer(1);
    Tensor x = reverse ? ag::flip(call[0], axis) : call[0];
    if (exclusive) x = moved_on(x, axis, first);
    const Tensor y = f(x, axis);
    return one(reverse ? ag::flip(y, axis) : y);
  };
}

// Before opset 13 all axes from the given one on are one.
Tensor along(const Tensor& x, std::int64_t opset, std::int64_t axis,
             const std::function<Tensor(const Tensor&, std::int64_t)>& f) {
  if (opset >= 13) return f(x, axis);
  const std::int64_t first = axis == x.ndim() ? axis : axis_in("axis", axis, x.ndim());
  std::int64_t rows = 1;
  for (std::int64_t i = 0; i < first; ++i) rows *= x.size(i);
  std::int64_t columns = 1;
  for (std::int64_t i = first; i < x.ndim(); ++i) columns *= x.size(i);
  return ag::reshape(f(ag::reshape(x, {rows, columns}), 1), x.shape());
}

Tensor hardmax_of(const Tensor& x, std::int64_t axis) {
  const std::int64_t at = axis_in("axis", axis, x.ndim());
  const Tensor largest = ag::one_hot(ag::argmax(x, at), x.size(at));
  return ag::movedim(largest, -1, at).to(x.dtype());
}

template <Tensor (*f)(const Tensor&, std::int64_t)>
Run normalised(Node& node) {
  const std::int64_t axis = node.integer("axis", node.opset >= 13 ? -1 : 1);
  return unary([=, opset = node.opset](const Tensor& x) { return along(x, opset, axis, f); });
}

Run lp_normalization(Node& node) {
  const std::int64_t axis = node.integer("axis", -1), p = node.integer("p", 2);
  return unary([=](const Tensor& x) {
    const Tensor n = ag::norm(x, static_cast<double>(p), axis, true);
    return ag::where(n == 0, 0.0, x / ag::where(n == 0, 1.0, n));
  });
}

constexpr Operator kOperators[] = {
    {"ArgMax", arg_extreme<true>, 1, 1},
    {"ArgMin", arg_extreme<false>, 1, 1},
    {"CumProd", cumulative<ag::cumprod, 1>, 2, 2},
    {"CumSum", cumulative<ag::cumsum, 0>, 2, 2},
    {"Hardmax", normalised<hardmax_of>, 1, 1},
    {"LogSoftmax", normalised<ag::log_softmax>, 1, 1},
    {"LpNormalization", lp_normalization, 1, 1},
    {"ReduceL1", reduce<l1>, 1, 2},
    {"ReduceL2", reduce<l2>, 1, 2},
    {"ReduceLogSum", reduce<log_sum>, 1, 2},
    {"ReduceLogSumExp", reduce<log_sum_exp>, 1, 2},
    {"ReduceMax", reduce<extreme<true>>, 1, 2},
    {"ReduceMean", reduce<mean>, 1, 2},
    {"ReduceMin", reduce<extreme<false>>, 1, 2},
    {"ReduceProd", reduce<product>, 1, 2},
    {"ReduceSum", reduce<sum>, 1, 2},
    {"ReduceSumSquare", reduce<sum_square>, 1, 2},
    {"Softmax", normalised<ag::softmax>, 1, 1},
    {"TopK", top_k, 1, 2},
};

}  // namespace

std::span<const Operator> reduction_operators() { return kOperators; }

}  // namespace nn::interpreter
