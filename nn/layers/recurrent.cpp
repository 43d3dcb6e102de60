#include "nn/layers/recurrent.hpp"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/layers/dropout.hpp"
#include "nn/module/init.hpp"

namespace nn {
namespace detail {
namespace {

constexpr std::string_view kNames[] = {"rnn", "rnn", "lstm", "gru"};

// More cannot be meant, and gates times sizes fit in 63 bits.
constexpr std::int64_t kLargestSize = std::int64_t{1} << 48, kMostLayers = 65536;

std::string_view name(RecurrentKind kind) { return kNames[static_cast<int>(kind)]; }

Parameter made_if(bool wanted, const ag::Shape& shape) {
  return wanted ? Parameter(ag::empty(shape)) : Parameter();
}

ag::Tensor stacked(const ag::TensorList& states) {
  return states.size() == 1 ? ag::unsqueeze(states[0], 0) : ag::stack(states, 0);
}

}  // namespace

std::int64_t gates_of(RecurrentKind kind) {
  constexpr std::int64_t gates[] = {1, 1, 4, 3};
  return gates[static_cast<int>(kind)];
}

ag::RecurrentWithCell run_layer(RecurrentKind kind, const ag::Tensor& x, const ag::Tensor& h,
                                const ag::Tensor& c, const ag::RecurrentWeights& weights,
                                const ag::RecurrentOptions& options) {
  if (kind == RecurrentKind::lstm) return ag::lstm(x, h, c, weights, options);
  const auto f = kind == RecurrentKind::gru        ? ag::gru
                 : kind == RecurrentKind::rnn_relu ? ag::rnn_relu
                                                   : ag::rnn_tanh;
  const ag::Recurrent r = f(x, h, weights, options);
  return {r.output, r.h, {}};
}

RecurrentBase::RecurrentBase(RecurrentKind kind, std::int64_t input_size, std::int64_t hidden_size,
                             const LSTMOptions& options)
    : kind_(kind), input_size_(input_size), hidden_size_(hidden_size), options_(options) {
  const std::string_view op = name(kind);
  if (input_size < 1 || hidden_size < 1)
    ag::fail(op, "input_size and hidden_size must be at least 1, got {} and {}", input_size,
             hidden_size);
  if (options.num_layers < 1 || options.num_layers > kMostLayers)
    ag::fail(op, "num_layers must be in [1, {}], got {}", kMostLayers, options.num_layers);
  if (hidden_size > kLargestSize)
    ag::fail(op, "hidden_size must be at most {}, got {}", kLargestSize, hidden_size);
  if (options.proj_size < 0 || options.proj_size >= hidden_size)
    ag::fail(op, "proj_size must be 0 or less than hidden_size, got {} for {}", options.proj_size,
             hidden_size);
  if (!(options.dropout >= 0 && options.dropout <= 1))
    ag::fail(op, "dropout must be in [0, 1], got {}", options.dropout);
  const std::int64_t gates = gates_of(kind) * hidden_size,
                     state = options.proj_size == 0 ? hidden_size : options.proj_size;
  for (std::int64_t l = 0; l < options.num_layers; ++l)
    for (std::int64_t d = 0; d < directions(); ++d)
      weights_.push_back({Parameter(ag::empty({gates, l == 0 ? input_size : directions() * state})),
                          Parameter(ag::empty({gates, state})), made_if(options.bias, {gates}),
                          made_if(options.bias, {gates}),
                          made_if(options.proj_size > 0, {options.proj_size, hidden_size})});
  reset_parameters();
}

void RecurrentBase::reset_parameters() {
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size_));
  for (const RecurrentParameters& w : weights_)
    for (const Parameter* p : {&w.weight_ih, &w.weight_hh, &w.bias_ih, &w.bias_hh, &w.weight_hr})
      if (p->defined()) init::uniform_(*p, -bound, bound);
}

void RecurrentBase::visit_members(Visitor& visitor) {
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const auto step = static_cast<std::size_t>(directions());
    const std::string end = fmt::format("_l{}{}", i / step, i % step == 1 ? "_reverse" : "");
    RecurrentParameters& p = weights_[i];
    visitor("weight_ih" + end, p.weight_ih);
    visitor("weight_hh" + end, p.weight_hh);
    visitor("bias_ih" + end, p.bias_ih);
    visitor("bias_hh" + end, p.bias_hh);
    visitor("weight_hr" + end, p.weight_hr);
  }
}

const RecurrentParameters& RecurrentBase::parameters_of(std::int64_t layer, bool reverse) const {
  if (layer < 0 || layer >= options_.num_layers || (reverse && !options_.bidirectional))
    ag::fail(name(kind_), "there must be such a layer, got {}{} of {}{}", layer,
             reverse ? " in reverse" : "", options_.num_layers,
             options_.bidirectional ? " in both directions" : "");
  return weights_[static_cast<std::size_t>(layer * directions() + reverse)];
}
RecurrentParameters& RecurrentBase::parameters_of(std::int64_t layer, bool reverse) {
  return const_cast<RecurrentParameters&>(std::as_const(*this).parameters_of(layer, reverse));
}

std::string RecurrentBase::extra_repr() const {
  const LSTMOptions& o = options_;
  std::string text = fmt::format("{}, {}", input_size_, hidden_size_);
  if (o.proj_size != 0) text += fmt::format(", proj_size={}", o.proj_size);
  if (o.num_layers != 1) text += fmt::format(", num_layers={}", o.num_layers);
  if (!o.bias) text += ", bias=False";
  if (o.batch_first) text += ", batch_first=True";
  if (o.dropout != 0) text += ", dropout=" + repr(o.dropout);
  if (o.bidirectional) text += ", bidirectional=True";
  return text;
}

// The input of a call as the operations take it.
struct RecurrentBase::Batch {
  bool single;   // x had no batch axis
  ag::Tensor x;  // (steps, batch, in)
  ag::TensorList h, c;
};

RecurrentBase::Batch RecurrentBase::batch_of(const ag::Tensor& x, const LSTMInput& input) const {
  const std::string_view op = name(kind_);
  if (!x.defined()) ag::fail(op, "x must be defined, got an undefined tensor");
  if (x.ndim() < 2 || x.ndim() > 3 || x.size(-1) != input_size_)
    ag::fail(op, "x must be {} or (steps, in) with {} for in, got shape {}",
             options_.batch_first ? "(batch, steps, in)" : "(steps, batch, in)", input_size_,
             x.shape());
  const bool single = x.ndim() == 2;
  if (single && input.lengths.defined())
    ag::fail(op, "lengths are for a batch, got them for x of shape {}", x.shape());
  Batch batch{single,
              single                 ? ag::unsqueeze(x, 1)
              : options_.batch_first ? ag::swapaxes(x, 0, 1)
                                     : x,
              {},
              {}};
  const auto states = [&](const char* what, const ag::Tensor& given, std::int64_t size) {
    const auto count = static_cast<std::int64_t>(weights_.size());
    if (!given.defined()) return ag::TensorList(weights_.size(), ag::Tensor());
    ag::Shape shape{count, batch.x.size(1), size};
    if (single) shape = {count, size};
    if (given.shape() != shape)
      ag::fail(op, "{} must be (layers · directions, {}size), {}, got shape {}", what,
               single ? "" : "batch, ", shape, given.shape());
    return ag::unbind(single ? ag::unsqueeze(given, 1) : given, 0);
  };
  batch.h = states("h", input.h, options_.proj_size == 0 ? hidden_size_ : options_.proj_size);
  batch.c = states("c", input.c, hidden_size_);
  return batch;
}

LSTMOutput RecurrentBase::run(const ag::Tensor& x, const LSTMInput& input) const {
  const Batch batch = batch_of(x, input);
  const auto ways = static_cast<std::size_t>(directions());
  ag::Tensor y = batch.x;
  ag::TensorList h, c;
  for (std::size_t i = 0; i < weights_.size(); i += ways) {
    if (i > 0 && is_training()) y = detail::drop_elements(y, options_.dropout);
    ag::TensorList outputs;
    for (std::size_t k = i; k < i + ways; ++k) {
      const RecurrentParameters& p = weights_[k];
      const ag::RecurrentWithCell r =
          run_layer(kind_, y, batch.h[k], batch.c[k],
                    {p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh, p.weight_hr},
                    {.lengths = input.lengths, .reverse = k > i});
      outputs.push_back(r.output);
      h.push_back(r.h);
      c.push_back(r.c);
    }
    y = ways == 1 ? outputs[0] : ag::concat(outputs, 2);
  }
  const auto last = [&](const ag::TensorList& states) {
    return batch.single ? ag::squeeze(stacked(states), 1) : stacked(states);
  };
  if (batch.single)
    y = ag::squeeze(y, 1);
  else if (options_.batch_first)
    y = ag::swapaxes(y, 0, 1);
  return {y, {last(h), kind_ == RecurrentKind::lstm ? last(c) : ag::Tensor()}};
}

LSTMPackedOutput RecurrentBase::run(const PackedSequence& x, const LSTMInput& input) const {
  if (input.lengths.defined())
    ag::fail(name(kind_), "a packed sequence has lengths of its own, got others");
  const bool batch_first = options_.batch_first;
  const PaddedSequence padded = pad_packed_sequence(x, {.batch_first = batch_first});
  const LSTMOutput r = run(padded.output, {input.h, input.c, padded.lengths});
  PackedSequence packed = x;
  packed.data = pack_padded_sequence(r.output, padded.lengths,
                                     {.batch_first = batch_first, .enforce_sorted = false})
                    .data;
  return {packed, r.state};
}

}  // namespace detail

RNN::RNN(std::int64_t input_size, std::int64_t hidden_size, const RNNOptions& o)
    : RecurrentCalls(o.nonlinearity == Nonlinearity::relu ? detail::RecurrentKind::rnn_relu
                                                          : detail::RecurrentKind::rnn_tanh,
                     input_size, hidden_size,
                     {o.num_layers, o.bias, o.dropout, o.batch_first, o.bidirectional}) {}
RecurrentOutput RNN::forward(const ag::Tensor& x, const RecurrentInput& input) const {
  const LSTMOutput r = run(x, {.h = input.h, .lengths = input.lengths});
  return {r.output, r.state.h};
}
RecurrentPackedOutput RNN::forward(const PackedSequence& x, const RecurrentInput& input) const {
  const LSTMPackedOutput r = run(x, {.h = input.h, .lengths = input.lengths});
  return {r.output, r.state.h};
}

LSTM::LSTM(std::int64_t input_size, std::int64_t hidden_size, const LSTMOptions& options)
    : RecurrentCalls(detail::RecurrentKind::lstm, input_size, hidden_size, options) {}
LSTMOutput LSTM::forward(const ag::Tensor& x, const LSTMInput& input) const {
  return run(x, input);
}
LSTMPackedOutput LSTM::forward(const PackedSequence& x, const LSTMInput& input) const {
  return run(x, input);
}

GRU::GRU(std::int64_t input_size, std::int64_t hidden_size, const GRUOptions& o)
    : RecurrentCalls(detail::RecurrentKind::gru, input_size, hidden_size,
                     {o.num_layers, o.bias, o.dropout, o.batch_first, o.bidirectional}) {}
RecurrentOutput GRU::forward(const ag::Tensor& x, const RecurrentInput& input) const {
  const LSTMOutput r = run(x, {.h = input.h, .lengths = input.lengths});
  return {r.output, r.state.h};
}
RecurrentPackedOutput GRU::forward(const PackedSequence& x, const RecurrentInput& input) const {
  const LSTMPackedOutput r = run(x, {.h = input.h, .lengths = input.lengths});
  return {r.output, r.state.h};
}

}  // namespace nn
