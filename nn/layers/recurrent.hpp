#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

#include "autograd/ops/neural/recurrent.hpp"
#include "nn/layers/packed_sequence.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

/// Recurrent layers, with PyTorch's options, names and layouts. x is (steps, batch, in), (batch,
/// steps, in) with `batch_first`, or (steps, in) for one sequence; outputs are alike, with state ·
/// directions in the last axis. First and last states are (layers · directions, batch, state), or
/// (layers · directions, state) for one sequence, whatever `batch_first` says. Each class can be
/// called on several threads at once; dropout then draws from the generator of each.
namespace nn {

/// Options of `GRU`.
struct GRUOptions {
  std::int64_t num_layers = 1;  ///< each on the output of the one before
  bool bias = true;
  double dropout = 0;          ///< in [0, 1]: of what goes from layer to layer, in training
  bool batch_first = false;    ///< x and output are (batch, steps, …)
  bool bidirectional = false;  ///< also from the last step to the first; outputs side by side
};

/// Options of `RNN`.
struct RNNOptions {
  enum class Nonlinearity { tanh, relu };
  std::int64_t num_layers = 1;
  Nonlinearity nonlinearity = Nonlinearity::tanh;
  bool bias = true;
  double dropout = 0;
  bool batch_first = false;
  bool bidirectional = false;
};

/// Options of `LSTM`.
struct LSTMOptions {
  std::int64_t num_layers = 1;
  bool bias = true;
  double dropout = 0;
  bool batch_first = false;
  bool bidirectional = false;
  std::int64_t proj_size = 0;  ///< less than hidden_size: h is projected to so many; 0: it is not
};

/// What besides x goes into a call of `RNN` or `GRU`: `gru(x, {.lengths = lengths})`.
struct RecurrentInput {
  ag::Tensor h{};  ///< first states; undefined: 0
  /// int64 (batch), in [1, steps]: how many steps each sequence has. What x holds beyond them counts
  /// for nothing, outputs there are 0, and states are those of the last step there is, from which
  /// the reverse direction begins.
  ag::Tensor lengths{};
};
/// The states of the last layer at all steps, and the last ones of all layers.
struct RecurrentOutput {
  ag::Tensor output;
  ag::Tensor h;
};
/// The same for packed sequences.
struct RecurrentPackedOutput {
  PackedSequence output;
  ag::Tensor h;
};

/// First or last states of an `LSTM`; c is (layers · directions, batch, hidden).
struct LSTMState {
  ag::Tensor h{};
  ag::Tensor c{};
};
/// What besides x goes into a call of `LSTM`: `lstm(x, {h, c})`, `lstm(x, {.lengths = lengths})`.
struct LSTMInput {
  ag::Tensor h{};        ///< undefined: 0
  ag::Tensor c{};        ///< undefined: 0
  ag::Tensor lengths{};  ///< see `RecurrentInput`
};
struct LSTMOutput {
  ag::Tensor output;
  LSTMState state;
};
struct LSTMPackedOutput {
  PackedSequence output;
  LSTMState state;
};

namespace detail {

enum class RecurrentKind { rnn_tanh, rnn_relu, lstm, gru };
std::int64_t gates_of(RecurrentKind kind);
/// One layer in one direction: `ag::lstm` and its kin; c of an lstm alone.
ag::RecurrentWithCell run_layer(RecurrentKind kind, const ag::Tensor& x, const ag::Tensor& h,
                                const ag::Tensor& c, const ag::RecurrentWeights& weights,
                                const ag::RecurrentOptions& options = {});

/// The weights of one layer in one direction, with PyTorch's names for them.
struct RecurrentParameters {
  Parameter weight_ih;  ///< (gates · hidden, in)
  Parameter weight_hh;  ///< (gates · hidden, state)
  Parameter bias_ih;    ///< (gates · hidden)
  Parameter bias_hh;    ///< (gates · hidden)
  Parameter weight_hr;  ///< (state, hidden), with proj_size
};

/// What recurrent layers share. All weights start uniform in ±1/√hidden, as in PyTorch, which names
/// them "weight_ih_l0", …, "bias_hh_l1_reverse".
struct RecurrentBase : Module {
  void visit_members(Visitor& visitor) final;
  std::string extra_repr() const override;
  /// Draws new initial values.
  void reset_parameters();
  /// The weights of a layer. Throws unless there is one.
  RecurrentParameters& parameters_of(std::int64_t layer, bool reverse = false);
  const RecurrentParameters& parameters_of(std::int64_t layer, bool reverse = false) const;
  std::int64_t input_size() const noexcept { return input_size_; }
  std::int64_t hidden_size() const noexcept { return hidden_size_; }

 protected:
  RecurrentBase(RecurrentKind kind, std::int64_t input_size, std::int64_t hidden_size,
                const LSTMOptions& options);
  LSTMOutput run(const ag::Tensor& x, const LSTMInput& input) const;
  LSTMPackedOutput run(const PackedSequence& x, const LSTMInput& input) const;

 private:
  struct Batch;
  Batch batch_of(const ag::Tensor& x, const LSTMInput& input) const;
  std::int64_t directions() const { return options_.bidirectional ? 2 : 1; }
  RecurrentKind kind_;
  std::int64_t input_size_, hidden_size_;
  LSTMOptions options_;
  std::vector<RecurrentParameters> weights_;  // of each layer, of each direction
};

inline RecurrentInput input_of(const ag::Tensor& h) { return {.h = h}; }
inline LSTMInput input_of(const LSTMState& state) { return {.h = state.h, .c = state.c}; }

/// The calls of a layer, all of which hooks see.
template <class Self, class Input, class State>
struct RecurrentCalls : RecurrentBase {
  auto operator()(const ag::Tensor& x, const Input& input = {}) const {
    return call_forward(self(), x, input);
  }
  auto operator()(const PackedSequence& x, const Input& input = {}) const {
    return call_forward(self(), x, input);
  }
  /// With first states.
  template <std::derived_from<State> S>
  auto operator()(const ag::Tensor& x, const S& state) const {
    return call_forward(self(), x, input_of(state));
  }
  template <std::derived_from<State> S>
  auto operator()(const PackedSequence& x, const S& state) const {
    return call_forward(self(), x, input_of(state));
  }
  std::unique_ptr<Module> clone_module() const override { return copy_module(self()); }
  const std::type_info& named_type() const override { return typeid(Self); }
  Extent named_extent() const override { return {&self(), sizeof(Self)}; }

 protected:
  using RecurrentBase::RecurrentBase;

 private:
  const Self& self() const { return static_cast<const Self&>(*this); }
};

}  // namespace detail

/// h' = tanh(W x + b + W h + b), or relu of that (Elman 1990).
class RNN : public detail::RecurrentCalls<RNN, RecurrentInput, ag::Tensor> {
 public:
  using Nonlinearity = RNNOptions::Nonlinearity;
  /// Sizes of at least 1.
  RNN(std::int64_t input_size, std::int64_t hidden_size, const RNNOptions& options = {});
  RecurrentOutput forward(const ag::Tensor& x, const RecurrentInput& input = {}) const;
  RecurrentPackedOutput forward(const PackedSequence& x, const RecurrentInput& input = {}) const;
};

/// Long short-term memory (Hochreiter and Schmidhuber 1997); see `ag::lstm`.
/// `const auto [output, state] = lstm(x);`
class LSTM : public detail::RecurrentCalls<LSTM, LSTMInput, LSTMState> {
 public:
  /// Sizes of at least 1.
  LSTM(std::int64_t input_size, std::int64_t hidden_size, const LSTMOptions& options = {});
  LSTMOutput forward(const ag::Tensor& x, const LSTMInput& input = {}) const;
  LSTMPackedOutput forward(const PackedSequence& x, const LSTMInput& input = {}) const;
};

/// A gated recurrent unit (Cho 2014); see `ag::gru`. `const auto [output, h] = gru(x);`
class GRU : public detail::RecurrentCalls<GRU, RecurrentInput, ag::Tensor> {
 public:
  /// Sizes of at least 1.
  GRU(std::int64_t input_size, std::int64_t hidden_size, const GRUOptions& options = {});
  RecurrentOutput forward(const ag::Tensor& x, const RecurrentInput& input = {}) const;
  RecurrentPackedOutput forward(const PackedSequence& x, const RecurrentInput& input = {}) const;
};

}  // namespace nn

#pragma GCC visibility pop
