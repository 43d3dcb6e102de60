#include "nn/onnx/internal/load/recurrent.hpp"

#include "autograd/autograd.hpp"

namespace nn::interpreter {
namespace {

using ag::narrow;

// Blocks of `hidden` rows in another order: ONNX's gates as autograd has them.
Tensor reordered(const Tensor& x, const std::vector<std::int64_t>& order) {
  if (order.empty()) return x;
  const std::int64_t hidden = x.size(0) / static_cast<std::int64_t>(order.size());
  ag::TensorList blocks;
  for (const std::int64_t i : order) blocks.push_back(narrow(x, 0, i * hidden, hidden));
  return ag::concat(blocks, 0);
}
std::vector<std::int64_t> gate_order(RecurrentKind kind) {
  if (kind == RecurrentKind::lstm) return {0, 2, 3, 1};  // i o f c, as i f g o
  if (kind == RecurrentKind::gru) return {1, 0, 2};      // z r h, as r z n
  return {};
}

DirectionOutput by_kernel(const RecurrentNode& node, const DirectionInput& in) {
  const auto order = gate_order(node.kind);
  ag::RecurrentWeights w{.input = reordered(in.weight, order),
                         .hidden = reordered(in.recurrence, order)};
  if (in.bias.defined()) {
    const std::int64_t n = in.bias.size(0) / 2;
    w.input_bias = reordered(narrow(in.bias, 0, 0, n), order);
    w.hidden_bias = reordered(narrow(in.bias, 0, n, n), order);
  }
  const ag::RecurrentOptions options{.lengths = in.lengths, .reverse = in.reverse};
  if (node.kind == RecurrentKind::lstm) {
    const auto y = ag::lstm(in.x, in.h, in.c, w, options);
    return {y.output, y.h, y.c};
  }
  const auto f = node.kind == RecurrentKind::gru                     ? ag::gru
                 : node.activations_of(in.reverse)[0].name == "Relu" ? ag::rnn_relu
                                                                     : ag::rnn_tanh;
  const auto y = f(in.x, in.h, w, options);
  return {y.output, y.h, {}};
}

DirectionOutput run(const RecurrentNode& node, const DirectionInput& in) {
  return node.is_common(in) ? by_kernel(node, in) : recurrent_by_steps(node, in);
}

// ---------------------------------------------------------------- the node

Activation activation(Node& node, const std::string& name, std::vector<double>& alphas,
                      std::vector<double>& betas) {
  struct Known {
    std::string_view name;
    std::optional<double> alpha, beta;
  };
  static const Known known[] = {
      {"Relu", {}, {}},           {"Tanh", {}, {}},         {"Sigmoid", {}, {}},
      {"Softsign", {}, {}},       {"Softplus", {}, {}},     {"LeakyRelu", 0.01, {}},
      {"ThresholdedRelu", 1, {}}, {"Elu", 1, {}},           {"Affine", 1, 0},
      {"ScaledTanh", 1, 1},       {"HardSigmoid", 0.2, 0.5}};
  // Numbers are those of the activations that take some, in their order.
  const auto next = [](std::vector<double>& list, std::optional<double> fallback) {
    if (!fallback || list.empty()) return fallback.value_or(0);
    const double first = list.front();
    list.erase(list.begin());
    return first;
  };
  for (const Known& k : known)
    if (k.name == name) return {name, next(alphas, k.alpha), next(betas, k.beta)};
  node.refuse("activations must be those of ONNX, got \"{}\"", ag::quoted(name));
}

RecurrentNode parse(Node& node, RecurrentKind kind) {
  RecurrentNode r{.kind = kind};
  const std::string direction = node.text("direction", "forward");
  r.directions = choice<std::int64_t>(node, "direction", direction,
                                      {{"forward", 1}, {"reverse", 1}, {"bidirectional", 2}});
  r.reverse = direction == "reverse";
  r.batch_first = node.flag("layout");
  if (node.has("clip")) r.clip = node.number("clip");
  node.ignore("hidden_size");      // that of the weights
  node.ignore("output_sequence");  // of opset 1
  if (kind == RecurrentKind::gru) r.linear_before_reset = node.flag("linear_before_reset");
  if (kind == RecurrentKind::lstm) r.input_forget = node.flag("input_forget");
  std::vector<std::string> names = node.texts("activations");
  auto alphas = node.numbers("activation_alpha").value_or(std::vector<double>());
  auto betas = node.numbers("activation_beta").value_or(std::vector<double>());
  const std::vector<std::string> usual =
      kind == RecurrentKind::rnn   ? std::vector<std::string>{"Tanh"}
      : kind == RecurrentKind::gru ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                   : std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"};
  const std::size_t count = usual.size() * static_cast<std::size_t>(r.directions);
  if (names.empty())
    for (std::size_t i = 0; i < count; ++i) names.push_back(usual[i % usual.size()]);
  if (names.size() != count)
    node.refuse("there must be {} activations, got {}", count, names.size());
  for (const std::string& name : names)
    r.activations.push_back(activation(node, name, alphas, betas));
  return r;
}

Tensor part(const Call& call, std::size_t i, std::int64_t direction) {
  return call.has(i) ? ag::select(call[i], 0, direction) : Tensor();
}
// First states are (directions, batch, …), or (batch, directions, …).
Tensor state(const RecurrentNode& node, const Call& call, std::size_t i, std::int64_t direction) {
  return call.has(i) ? ag::select(call[i], node.batch_first ? 1 : 0, direction) : Tensor();
}

Values run(const RecurrentNode& node, const Call& call) {
  const Tensor x = node.batch_first ? ag::transpose(call[0], 0, 1) : call[0];
  if (call[1].ndim() != 3 || call[1].size(0) != node.directions || call[2].ndim() != 3 ||
      call[2].size(0) != node.directions || x.ndim() != 3)
    ag::fail(
        "recurrent",
        "x must have three axes and weights must be for {} directions, got shapes {}, {} and {}",
        node.directions, x.shape(), call[1].shape(), call[2].shape());
  ag::TensorList outputs, h, c;
  for (std::int64_t d = 0; d < node.directions; ++d) {
    const DirectionOutput y = run(node, {.x = x,
                                         .h = state(node, call, 5, d),
                                         .c = state(node, call, 6, d),
                                         .weight = part(call, 1, d),
                                         .recurrence = part(call, 2, d),
                                         .bias = part(call, 3, d),
                                         .peepholes = part(call, 7, d),
                                         .lengths = call.has(4) ? call[4] : Tensor(),
                                         .reverse = node.reverse || d == 1});
    outputs.push_back(y.output);
    h.push_back(y.h);
    if (y.c.defined()) c.push_back(y.c);
  }
  Tensor all = ag::stack(outputs, 1);  // (steps, directions, batch, hidden)
  if (node.batch_first) all = ag::permute(all, {2, 0, 1, 3});
  const std::int64_t at = node.batch_first ? 1 : 0;
  return several(all, ag::stack(h, at), c.empty() ? Tensor() : ag::stack(c, at));
}

template <RecurrentKind kind>
Run recurrent(Node& node) {
  return [r = parse(node, kind)](const Call& call) { return run(r, call); };
}

constexpr Operator kOperators[] = {
    {"GRU", recurrent<RecurrentKind::gru>, 3, 6},
    {"LSTM", recurrent<RecurrentKind::lstm>, 3, 8},
    {"RNN", recurrent<RecurrentKind::rnn>, 3, 6},
};

}  // namespace

// What the operations of autograd compute.
bool RecurrentNode::is_common(const DirectionInput& in) const {
  if (clip || input_forget || in.peepholes.defined()) return false;
  if (kind == RecurrentKind::gru && !linear_before_reset) return false;
  const auto a = activations_of(in.reverse);
  if (kind == RecurrentKind::rnn) return a[0].name == "Tanh" || a[0].name == "Relu";
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].name != (i == 0 ? "Sigmoid" : "Tanh")) return false;
  return true;
}

std::span<const Activation> RecurrentNode::activations_of(bool backward) const {
  const std::size_t each = activations.size() / static_cast<std::size_t>(directions);
  return {activations.data() + (backward && directions == 2 ? each : 0), each};
}

std::span<const Operator> recurrent_operators() { return kOperators; }

}  // namespace nn::interpreter
