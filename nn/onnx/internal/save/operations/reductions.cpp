#include <vector>

#include "nn/onnx/internal/save/table.hpp"

// Along axes: sums, means, extremes, and what comes from all entries before.
namespace nn::onnx_out {
namespace {

// Axes of an operation on a whole tensor, or some; counted from 0.
std::vector<std::int64_t> axes_of(const Call& call) {
  std::vector<std::int64_t> axes = call.integers("axes");
  for (auto& a : axes) a = a < 0 ? a + call.rank(0) : a;
  if (axes.empty())
    for (std::int64_t a = 0; a < call.rank(0); ++a) axes.push_back(a);
  return axes;
}

void sum(const Call& call) {
  Graph& g = call.graph;
  const bool flags = call.dtype(0) == ag::boolean;
  const Name x = flags ? g.cast(call.in(0), ag::int64) : call.in(0);
  call.result(g.reduce("ReduceSum", x, call.flagged("reduced")));
}

void extreme(const Call& call) {
  const auto op = call.step.name == "max" ? "ReduceMax" : "ReduceMin";
  call.result(call.graph.reduce(op, call.in(0), call.flagged("reduced")));
}

void arg_extreme(const Call& call) {
  Graph& g = call.graph;
  const bool scalar = call.shape(0).empty();
  const Name x = scalar ? g.unsqueeze(call.in(0), 0) : call.in(0);
  const std::int64_t keep = call.flag("keepdims") && !scalar;
  call.result(g.node(call.step.name == "argmax" ? "ArgMax" : "ArgMin", {x},
                     {{"axis", call.integer("axis")}, {"keepdims", keep}}));
}

void mean(const Call& call) {
  call.result(call.graph.reduce("ReduceMean", call.in(0), axes_of(call)));
}

// Σ x² / divisor, or its root.
void squares(const Call& call) {
  Graph& g = call.graph;
  const Expr x = call.expr(0);
  const Expr total(g, g.reduce("ReduceSum", (x * x).name, axes_of(call)), x.dtype);
  const Expr divisor(g, g.number(call.real("divisor"), x.dtype), x.dtype);
  call.result(call.flag("root") ? sqrt(total / divisor) : total / divisor);
}

void prod(const Call& call) {
  Graph& g = call.graph;
  const bool flags = call.dtype(0) == ag::boolean, scalar = call.shape(0).empty();
  const Name x = flags ? g.cast(call.in(0), ag::int64) : call.in(0);
  call.result(scalar ? x : g.reduce("ReduceProd", x, {call.integer("axis")}));
}

// ---------------------------------------------------------------- scans

void cumsum(const Call& call) {
  Graph& g = call.graph;
  const bool flags = call.dtype(0) == ag::boolean, scalar = call.shape(0).empty();
  const Name x = flags ? g.cast(call.in(0), ag::int64) : call.in(0);
  const std::int64_t reverse = call.flag("reverse");
  if (scalar) return call.result(x);
  call.result(g.node("CumSum", {x, g.scalar(call.dim("axis"))}, {{"reverse", reverse}}));
}

constexpr std::int64_t kMostSteps = 512;

// Step by step along an axis whose size is known: entry k of the result from that before it and
// entry k of the operands.
template <class F>
void unrolled(const Call& call, bool reverse, const F& step) {
  Graph& g = call.graph;
  const std::int64_t axis = call.integer("axis");
  if (call.shape(0).empty()) {  // one step
    std::vector<Expr> carry, in;
    for (std::size_t o = 0; o < call.inputs(); ++o) in.push_back(call.expr(o));
    return call.result(step(carry, in, 0));
  }
  const Dim& size = call.shape(0)[static_cast<std::size_t>(axis)];
  if (!size.constant() || size.fixed > kMostSteps)
    call.refuse("more than 512 steps, or as many as the batch size");
  const std::int64_t n = size.fixed;
  if (n < 1) return call.result(g.filled(0, call.result_dtype(), call.result_shape()));
  Names results(static_cast<std::size_t>(n));
  std::vector<Expr> carry;
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t i = reverse ? n - 1 - k : k;
    std::vector<Expr> in;
    for (std::size_t o = 0; o < call.inputs(); ++o)
      in.emplace_back(g, g.slice(call.in(o), axis, {i, 0, true}, {i + 1, 0, true}), call.dtype(o));
    results[static_cast<std::size_t>(i)] = step(carry, in, i).name;
  }
  call.result(n == 1 ? results[0] : g.node("Concat", results, {{"axis", axis}}));
}

void cumprod(const Call& call) {
  Graph& g = call.graph;
  const ag::DType dtype = call.result_dtype();
  unrolled(call, call.flag("reverse"),
           [&](std::vector<Expr>& carry, const std::vector<Expr>& in, std::int64_t) {
             const Expr x =
                 in[0].dtype == dtype ? in[0] : Expr(g, g.cast(in[0].name, dtype), dtype);
             carry = {carry.empty() ? x : carry[0] * x};
             return carry[0];
           });
}

void recurrence(const Call& call) {
  const bool lag = call.flag("lag");
  unrolled(call, call.flag("reverse"),
           [&](std::vector<Expr>& carry, const std::vector<Expr>& in, std::int64_t) {
             const Expr &a = in[0], &b = in[1];
             if (lag) {
               const Expr value = carry.empty() ? b : b + carry[0];
               carry = {a * value};
               return value;
             }
             carry = {carry.empty() ? b : b + a * carry[0]};
             return carry[0];
           });
}

Expr log_add(const Expr& a, const Expr& b) {
  return where(a == b, a + 0.6931471805599453, maximum(a, b) + log1p(exp(-abs(a - b))));
}

void log_cumsum_exp(const Call& call) {
  unrolled(call, false, [&](std::vector<Expr>& carry, const std::vector<Expr>& in, std::int64_t) {
    carry = {carry.empty() ? in[0] : log_add(carry[0], in[0])};
    return carry[0];
  });
}

// The position of the extreme so far, the latest of equal ones; NaN stays.
void arg_cumulative(const Call& call) {
  const bool largest = call.step.name == "cummax";
  Graph& g = call.graph;
  unrolled(call, false, [&](std::vector<Expr>& carry, const std::vector<Expr>& in, std::int64_t i) {
    const Expr& x = in[0];
    const Expr here(g, g.number(static_cast<double>(i), ag::int64), ag::int64);
    if (carry.empty()) {
      carry = {x, where(x != x, here, here)};  // of the shape of x
      return carry[1];
    }
    const Expr& best = carry[0];
    const Expr better = x != x || (best == best && (largest ? x >= best : x <= best));
    carry = {where(better, x, best), where(better, here, carry[1])};
    return carry[1];
  });
}

}  // namespace

void add_reductions(Table& t) {
  t.by_attribute.push_back({"divisor", squares});
  t.by_name["sum"] = sum;
  t.by_name["max"] = t.by_name["min"] = extreme;
  t.by_name["argmax"] = t.by_name["argmin"] = arg_extreme;
  t.by_name["mean"] = mean;
  t.by_name["prod"] = prod;
  t.by_name["histogram"] = [](const Call& call) { call.result(call.in(0)); };  // edges, checked
}

void add_scans(Table& t) {
  t.by_name["cumsum"] = cumsum;
  t.by_name["cumprod"] = cumprod;
  t.by_name["recurrence"] = recurrence;
  t.by_name["logcumsumexp"] = log_cumsum_exp;
  t.by_name["cummax"] = t.by_name["cummin"] = arg_cumulative;
}

}  // namespace nn::onnx_out
