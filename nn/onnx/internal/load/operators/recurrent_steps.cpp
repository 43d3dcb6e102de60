#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/recurrent.hpp"

namespace nn::interpreter {
namespace {

struct States {
  Tensor h, c;
};

class Cell {
 public:
  Cell(const RecurrentNode& node, const DirectionInput& in)
      : node_(node),
        in_(in),
        act_(node.activations_of(in.reverse)),
        hidden_(in.recurrence.size(1)) {
    const std::int64_t n = in.recurrence.size(0);
    if (in.bias.defined())
      w_bias_ = ag::narrow(in.bias, 0, 0, n), r_bias_ = ag::narrow(in.bias, 0, n, n);
  }

  /// What of all gates x alone decides, of all steps.
  Tensor of_inputs() const { return ag::linear(in_.x, in_.weight, w_bias_); }

  States step(const Tensor& from_x, const States& s) const {
    if (node_.kind == RecurrentKind::lstm) return lstm(from_x, s);
    if (node_.kind == RecurrentKind::gru) return {gru(from_x, s.h), {}};
    return {act_[0](clipped(from_x + ag::linear(s.h, in_.recurrence, r_bias_))), {}};
  }

 private:
  Tensor gate(const Tensor& x, std::int64_t i) const {
    return ag::narrow(x, 1, i * hidden_, hidden_);
  }
  Tensor rows(const Tensor& w, std::int64_t i) const {
    return w.defined() ? ag::narrow(w, 0, i * hidden_, hidden_) : w;
  }
  Tensor clipped(const Tensor& x) const {
    return node_.clip ? ag::clamp(x, -*node_.clip, *node_.clip) : x;
  }
  Tensor peeped(const Tensor& x, const Tensor& c, std::int64_t i) const {
    return in_.peepholes.defined() ? x + rows(in_.peepholes, i) * c : x;
  }

  Tensor gru(const Tensor& from_x, const Tensor& h) const {
    const Tensor& w = in_.recurrence;
    const auto of_state = [&](const Tensor& state, std::int64_t i) {
      return ag::linear(state, rows(w, i), rows(r_bias_, i));
    };
    const Tensor z = act_[0](clipped(gate(from_x, 0) + of_state(h, 0)));
    const Tensor r = act_[0](clipped(gate(from_x, 1) + of_state(h, 1)));
    const Tensor late = node_.linear_before_reset ? r * of_state(h, 2) : of_state(r * h, 2);
    const Tensor n = act_[1](clipped(gate(from_x, 2) + late));
    return (1 - z) * n + z * h;
  }

  States lstm(const Tensor& from_x, const States& s) const {  // gates i, o, f, c; peepholes i, o, f
    const Tensor all = from_x + ag::linear(s.h, in_.recurrence, r_bias_);
    const Tensor i = act_[0](clipped(peeped(gate(all, 0), s.c, 0)));
    const Tensor f = node_.input_forget ? 1 - i : act_[0](clipped(peeped(gate(all, 2), s.c, 2)));
    const Tensor c = f * s.c + i * act_[1](clipped(gate(all, 3)));
    const Tensor o = act_[0](clipped(peeped(gate(all, 1), c, 1)));
    return {o * act_[2](c), c};
  }

  const RecurrentNode& node_;
  const DirectionInput& in_;
  std::span<const Activation> act_;
  std::int64_t hidden_;
  Tensor w_bias_, r_bias_;
};

}  // namespace

Tensor Activation::operator()(const Tensor& x) const {
  if (name == "Sigmoid") return ag::sigmoid(x);
  if (name == "Tanh") return ag::tanh(x);
  if (name == "Relu") return ag::relu(x);
  if (name == "Softsign") return ag::softsign(x);
  if (name == "Softplus") return ag::softplus(x);
  if (name == "LeakyRelu") return ag::leaky_relu(x, alpha);
  if (name == "ThresholdedRelu") return ag::threshold(x, alpha, 0);
  if (name == "Elu") return ag::elu(x, alpha);
  if (name == "Affine") return x * alpha + beta;
  if (name == "ScaledTanh") return ag::tanh(x * beta) * alpha;
  return ag::hardtanh(x * alpha + beta, 0, 1);  // HardSigmoid
}

// Past the end of a sequence its state stays and its output is 0; backwards it begins at the end.
DirectionOutput recurrent_by_steps(const RecurrentNode& node, const DirectionInput& in) {
  const Cell cell(node, in);
  const std::int64_t steps = in.x.size(0), batch = in.x.size(1), hidden = in.recurrence.size(1);
  const Tensor zero = ag::zeros({batch, hidden}, in.x.dtype()), from_x = cell.of_inputs();
  States s{in.h.defined() ? in.h : zero, in.c.defined() ? in.c : zero};
  ag::TensorList outputs;
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t t = in.reverse ? steps - 1 - i : i;
    States next = cell.step(ag::select(from_x, 0, t), s);
    Tensor y = next.h;
    if (in.lengths.defined()) {
      const Tensor inside = ag::unsqueeze(in.lengths > static_cast<double>(t), 1);
      y = ag::where(inside, next.h, 0);
      next.h = ag::where(inside, next.h, s.h);
      if (next.c.defined()) next.c = ag::where(inside, next.c, s.c);
    }
    s = next;
    outputs.push_back(y);
  }
  if (in.reverse) std::reverse(outputs.begin(), outputs.end());
  return {steps == 0 ? ag::zeros({0, batch, hidden}, in.x.dtype()) : ag::stack(outputs, 0), s.h,
          node.kind == RecurrentKind::lstm ? s.c : Tensor()};
}

}  // namespace nn::interpreter
