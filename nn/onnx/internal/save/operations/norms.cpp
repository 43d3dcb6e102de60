#include "autograd/ops/ops.hpp"
#include "nn/onnx/internal/save/table.hpp"

// Softmax and normalisation.
namespace nn::onnx_out {
namespace {

void softmax(const Call& call) {
  Graph& g = call.graph;
  const bool scalar = call.shape(0).empty();
  const Name x = scalar ? g.unsqueeze(call.in(0), 0) : call.in(0);
  const Name y = g.node(call.step.name == "softmax" ? "Softmax" : "LogSoftmax", {x},
                        {{"axis", std::int64_t{-1}}});
  call.result(scalar ? g.squeeze(y, 0) : y);
}

// Of rows (n, width).
void layer_norm(const Call& call) {
  Graph& g = call.graph;
  if (call.wanted(1) || call.wanted(2)) call.refuse("its statistics");
  const bool centred = call.flag("centred"), weighted = call.flag("weighted"),
             biased = call.flag("biased");
  const ag::DType dtype = call.dtype(0);
  const Dims width{call.shape(0)[1]};
  const auto weight = [&] {
    return weighted ? call.in(1) : g.constant(ag::ones({sizes(width)[0]}, dtype));
  };
  const Name bias = biased ? call.in(call.inputs() - 1) : "";
  const NodeAttributes attributes{{"axis", std::int64_t{-1}}, {"epsilon", call.fixed("eps")}};
  // The node has its epsilon in float32.
  if (dtype == ag::float32 && centred)
    return call.result(g.node("LayerNormalization", {call.in(0), weight(), bias}, attributes));
  if (dtype == ag::float32 && !biased && g.opset() >= 23)
    return call.result(g.node("RMSNormalization", {call.in(0), weight()}, attributes));
  Expr x = call.expr(0);
  const auto mean = [&](const Expr& of) {
    return Expr(g, g.reduce("ReduceMean", of.name, {1}), dtype);
  };
  if (centred) x = x - mean(x);
  Expr y = x / sqrt(mean(x * x) + call.fixed("eps"));
  if (weighted) y = y * call.expr(1);
  if (biased) y = y + call.expr(call.inputs() - 1);
  call.result(y);
}

// One number for each channel, along axis 1 of `rank` axes.
Expr along(const Call& call, std::size_t i, std::int64_t rank) {
  Dims shape(static_cast<std::size_t>(rank), {1, 0, true});
  shape[1] = call.shape(i)[0];
  return {call.graph, call.graph.reshape(call.in(i), shape), call.dtype(i)};
}

// By the statistics of x itself, of `together` neighbouring channels at a time.
void batch_statistics(const Call& call) {
  Graph& g = call.graph;
  for (std::size_t k = 1; k < 4; ++k)
    if (call.wanted(k)) call.refuse("statistics of the batch that are kept; switch it to eval()");
  const Dims& shape = call.shape(0);
  const std::int64_t together = call.integer("together");
  Dims groups = shape;
  for (Dim* d : {&groups[1]}) d->fixed /= together, d->each /= together;
  groups[2].fixed *= together, groups[2].each *= together;
  const ag::DType dtype = call.dtype(0);
  const Expr x(g, together == 1 ? call.in(0) : g.reshape(call.in(0), groups), dtype);
  const auto mean = [&](const Expr& of) {
    return Expr(g, g.reduce("ReduceMean", of.name, {0, 2}), dtype);
  };
  const Expr centred = x - mean(x);
  Expr y = centred / sqrt(mean(centred * centred) + call.fixed("eps"));
  if (together != 1) y.name = g.reshape(y.name, shape);
  if (call.flag("weighted")) y = y * along(call, 1, 3);
  if (call.flag("biased")) y = y + along(call, call.inputs() - 1, 3);
  call.result(y);
}

// The variance and epsilon of which 1 / sqrt(variance + epsilon) is made, if so.
struct Deviation {
  Operand variance;
  double epsilon;
};
std::optional<Deviation> deviation(const Call& call) {
  const auto& all = call.all();
  const auto made = [&](const Step* s, const char* name) { return s && s->name == name; };
  const Step* div = call.maker(2);
  if (!made(div, "div")) return {};
  const Step* root = all.maker(div->in[1]);
  const Step* add = made(root, "sqrt") ? all.maker(root->in[0]) : nullptr;
  const std::optional<double> one = all.number(div->in[0]);
  if (!made(add, "add") || one != 1) return {};
  const std::optional<double> epsilon = all.number(add->in[1]);
  if (!epsilon) return {};
  return Deviation{add->in[0], *epsilon};
}

// By given mean and 1 / σ.
void channel_norm(const Call& call) {
  Graph& g = call.graph;
  const bool weighted = call.flag("weighted"), biased = call.flag("biased");
  const ag::DType dtype = call.dtype(0);
  const auto given = deviation(call);
  if (given && dtype == ag::float32 && is_constant({call.shape(0)[1]})) {
    const ag::Shape channels{sizes({call.shape(0)[1]})[0]};
    const Name scale = weighted ? call.in(3) : g.constant(ag::ones(channels, dtype)),
               bias = biased ? call.in(call.inputs() - 1) : g.constant(ag::zeros(channels, dtype));
    return call.result(g.node("BatchNormalization",
                              {call.in(0), scale, bias, call.in(1), call.of(given->variance)},
                              {{"epsilon", given->epsilon}}));
  }
  Expr y = (call.expr(0) - along(call, 1, 3)) * along(call, 2, 3);
  if (weighted) y = y * along(call, 3, 3);
  if (biased) y = y + along(call, call.inputs() - 1, 3);
  call.result(y);
}

}  // namespace

void add_norms(Table& t) {
  t.by_name["softmax"] = t.by_name["log_softmax"] = softmax;
  t.by_name["layer_norm"] = t.by_name["rms_norm"] = layer_norm;
  t.by_attribute.push_back({"together", batch_statistics});
  t.by_name["batch_norm"] = channel_norm;
}

}  // namespace nn::onnx_out
