#include "nn/onnx/internal/save/table.hpp"

// Recurrent layers, one direction at a time: x (steps, batch, in), the weights, h, then what there
// is of both biases, projection, c and lengths.
namespace nn::onnx_out {
namespace {

struct Layer {
  explicit Layer(const Call& call)
      : call(call),
        lstm(call.step.name == "lstm"),
        gru(call.step.name == "gru"),
        biased(call.flag("layer.biased")),
        projected(call.flag("layer.projected")),
        masked(call.flag("layer.masked")),
        reverse(call.flag("layer.reverse")),
        gates(lstm  ? 4
              : gru ? 3
                    : 1) {}

  const Call& call;
  bool lstm, gru, biased, projected, masked, reverse;
  std::int64_t gates;

  static constexpr std::size_t kX = 0, kInput = 1, kHidden = 2, kH = 3, kBias = 4;
  std::size_t projection() const { return kBias + (biased ? 2 : 0); }
  std::size_t c() const { return projection() + projected; }
  std::size_t lengths() const { return c() + lstm; }
  std::int64_t hidden() const { return sizes({call.shape(kInput)[0]})[0] / gates; }
};

// Weights with the blocks of their gates in ONNX's order, with the axis of the directions: ours are
// i f g o and r z n, ONNX's i o f c and z r h.
Name reordered(const Layer& l, const Name& weights) {
  Graph& g = l.call.graph;
  if (l.gates == 1) return weights;
  const std::vector<std::int64_t> parts(static_cast<std::size_t>(l.gates), l.hidden());
  const Names in =
      g.nodes("Split", {weights, g.list(parts)}, parts.size(), {{"axis", std::int64_t{0}}});
  const Names out = l.lstm ? Names{in[0], in[3], in[1], in[2]} : Names{in[1], in[0], in[2]};
  return g.node("Concat", out, {{"axis", std::int64_t{0}}});
}

void by_node(const Layer& l) {
  const Call& call = l.call;
  Graph& g = call.graph;
  const auto weights = [&](std::size_t i) { return g.unsqueeze(reordered(l, call.in(i)), 0); };
  Name bias, lengths;
  if (l.biased) {
    const Names both{reordered(l, call.in(Layer::kBias)), reordered(l, call.in(Layer::kBias + 1))};
    bias = g.unsqueeze(g.node("Concat", both, {{"axis", std::int64_t{0}}}), 0);
  }
  if (l.masked)
    lengths =
        g.node("Cast", {call.in(l.lengths())}, {{"to", std::int64_t{onnx::TensorProto::INT32}}});
  Names in{call.in(Layer::kX),
           weights(Layer::kInput),
           weights(Layer::kHidden),
           bias,
           lengths,
           g.unsqueeze(call.in(Layer::kH), 0)};
  if (l.lstm) in.push_back(g.unsqueeze(call.in(l.c()), 0));
  NodeAttributes attributes{{"hidden_size", l.hidden()},
                            {"direction", std::string(l.reverse ? "reverse" : "forward")}};
  if (l.gru) attributes.push_back({"linear_before_reset", std::int64_t{1}});
  if (call.step.name == "rnn_relu")
    attributes.push_back({"activations", std::vector<std::string>{"Relu"}});
  const Names y = g.nodes(l.lstm ? "LSTM" : l.gru ? "GRU" : "RNN", in, l.lstm ? 3 : 2, attributes);
  if (call.wanted(0)) call.result(0, g.squeeze(y[0], 1));
  if (call.wanted(1)) call.result(1, g.squeeze(y[1], 0));
  if (l.lstm && call.wanted(2)) call.result(2, g.squeeze(y[2], 0));
}

// ONNX has no projection, and onnxruntime no float64: step by step.
constexpr std::int64_t kMostSteps = 512;

struct Unrolled {
  explicit Unrolled(const Layer& l) : l(l), g(l.call.graph), dtype(l.call.dtype(0)) {}
  const Layer& l;
  Graph& g;
  ag::DType dtype;

  Expr product(const Expr& x, std::size_t weight, std::optional<std::size_t> bias) const {
    Names in{x.name, l.call.in(weight)};
    if (bias) in.push_back(l.call.in(*bias));
    return {g, g.node("Gemm", in, {{"transB", std::int64_t{1}}}), dtype};
  }
  std::vector<Expr> chunks(const Expr& x) const {
    const std::vector<std::int64_t> parts(static_cast<std::size_t>(l.gates), l.hidden());
    std::vector<Expr> all;
    for (const Name& n :
         g.nodes("Split", {x.name, g.list(parts)}, parts.size(), {{"axis", std::int64_t{1}}}))
      all.emplace_back(g, n, dtype);
    return all;
  }
  static Expr sigmoid(const Expr& x) { return unary("Sigmoid", x); }

  // The new h, and c where there is one.
  std::pair<Expr, Expr> step(const Expr& x, const Expr& h, const Expr& c) const {
    const auto bias = [&](std::size_t k) {
      return l.biased ? std::optional(Layer::kBias + k) : std::nullopt;
    };
    const Expr own = product(x, Layer::kInput, bias(0)), part = product(h, Layer::kHidden, bias(1));
    if (l.gru) {
      const auto a = chunks(own), b = chunks(part);
      const Expr z = sigmoid(a[1] + b[1]), n = tanh(a[2] + sigmoid(a[0] + b[0]) * b[2]);
      return {n + z * (h - n), c};
    }
    if (!l.lstm)
      return {l.call.step.name == "rnn_relu" ? unary("Relu", own + part) : tanh(own + part), c};
    const auto gate = chunks(own + part);
    const Expr next = sigmoid(gate[1]) * c + sigmoid(gate[0]) * tanh(gate[2]);
    const Expr y = sigmoid(gate[3]) * tanh(next);
    return {l.projected ? product(y, l.projection(), {}) : y, next};
  }

  void run() const {
    const Call& call = l.call;
    const Dim& size = call.shape(0)[0];
    if (!size.constant() || size.fixed > kMostSteps)
      call.refuse("a projection or float64 and more than 512 steps");
    Expr h = call.expr(Layer::kH), c = l.lstm ? call.expr(l.c()) : h;
    Names outputs(static_cast<std::size_t>(size.fixed));
    for (std::int64_t k = 0; k < size.fixed; ++k) {
      const std::int64_t t = l.reverse ? size.fixed - 1 - k : k;
      const Expr x(g, g.squeeze(g.slice(call.in(0), 0, {t, 0, true}, {t + 1, 0, true}), 0), dtype);
      auto [y, next] = step(x, h, c);
      Expr output = y;
      if (l.masked) {
        const Expr length(g, g.unsqueeze(call.in(l.lengths()), 1), ag::int64);
        const Expr active = length > static_cast<double>(t);
        output = where(active, y, 0);
        h = where(active, y, h);
        if (l.lstm) c = where(active, next, c);
      } else {
        h = y, c = next;
      }
      outputs[static_cast<std::size_t>(t)] = g.unsqueeze(output.name, 0);
    }
    call.result(0, outputs.size() == 1 ? outputs[0]
                                       : g.node("Concat", outputs, {{"axis", std::int64_t{0}}}));
    call.result(1, h.name);
    if (l.lstm) call.result(2, c.name);
  }
};

void recurrent(const Call& call) {
  if (call.wanted(3)) call.refuse("what it keeps for its gradient");
  const Layer layer(call);
  if (layer.projected || call.dtype(0) != ag::float32)
    Unrolled(layer).run();
  else
    by_node(layer);
}

}  // namespace

void add_recurrent(Table& t) { t.by_attribute.push_back({"layer.biased", recurrent}); }

}  // namespace nn::onnx_out
