#include "nn/onnx/internal/save/table.hpp"

// The loss of class scores: logits (n, classes), targets (n), weight (classes).
namespace nn::onnx_out {
namespace {

// Targets that count, and those that do not as 0.
struct Targets {
  Expr counts, index;
  Targets(const Call& call, std::size_t i)
      : counts(call.expr(i) != static_cast<double>(call.integer("ignore"))),
        index(where(counts, call.expr(i), 0)) {}
};

Expr weight_of(const Call& call, std::size_t weight, const Expr& index) {
  return {call.graph, call.graph.node("Gather", {call.in(weight), index.name}), call.dtype(weight)};
}

void losses(const Call& call) {
  Graph& g = call.graph;
  const ag::DType dtype = call.dtype(0);
  const double smoothing = call.fixed("smoothing");
  const Targets target(call, 1);
  const Expr logp(g, g.node("LogSoftmax", {call.in(0)}, {{"axis", std::int64_t{1}}}), dtype);
  const Name hit = g.node("GatherElements", {logp.name, g.unsqueeze(target.index.name, 1)},
                          {{"axis", std::int64_t{1}}});
  Expr loss =
      -(1 - smoothing) * (Expr(g, g.squeeze(hit, 1), dtype) * weight_of(call, 2, target.index));
  if (smoothing != 0) {
    const auto classes = static_cast<double>(sizes({call.shape(0)[1]})[0]);
    const Expr all(g, g.reduce("ReduceSum", (logp * call.expr(2)).name, {1}, false), dtype);
    loss = loss - (smoothing / classes) * all;
  }
  call.result(where(target.counts, loss, 0));
}

void total_weight(const Call& call) {
  Graph& g = call.graph;
  const Targets target(call, 0);
  const Expr each = where(target.counts, weight_of(call, 1, target.index), 0);
  call.result(g.reduce("ReduceSum", each.name, {0}, false));
}

}  // namespace

void add_losses(Table& t) {
  t.by_name["cross_entropy"] = [](const Call& call) {
    call.has("smoothing") ? losses(call) : total_weight(call);
  };
}

}  // namespace nn::onnx_out
