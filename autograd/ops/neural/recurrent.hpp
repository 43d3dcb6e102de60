#pragma once

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// One layer of a recurrent network in one direction, over sequences of `steps` steps: x is (steps,
/// batch, in). In terms of W x + b, with a W and a b for x and for the state of each gate.
namespace autograd {

/// The weights, with the gates one after the other in the first axis, in PyTorch's order.
struct RecurrentWeights {
  Tensor input;          ///< (gates · hidden, in)
  Tensor hidden;         ///< (gates · hidden, state)
  Tensor input_bias{};   ///< (gates · hidden); both or none
  Tensor hidden_bias{};  ///< (gates · hidden)
  Tensor projection{};   ///< (state, hidden), of `lstm` alone; without it the state is hidden
};

/// Options of recurrent layers.
struct RecurrentOptions {
  /// int64 (batch), in [1, steps]: how many steps each sequence has. What x holds beyond them counts
  /// for nothing, the output there is 0, and a state is that of the last step there is.
  Tensor lengths{};
  /// From the last step of each sequence to the first.
  bool reverse = false;
};

/// The states of all steps, (steps, batch, state), and the last one, (batch, state).
struct Recurrent {
  Tensor output;
  Tensor h;
};
/// Likewise, with the last cell state, (batch, hidden).
struct RecurrentWithCell {
  Tensor output;
  Tensor h;
  Tensor c;
};

/// h' = tanh(W x + b + W h + b) (Elman 1990). An undefined h is 0.
Recurrent rnn_tanh(const Tensor& x, const Tensor& h, const RecurrentWeights& weights,
                   const RecurrentOptions& options = {});
/// h' = relu(W x + b + W h + b). An undefined h is 0.
Recurrent rnn_relu(const Tensor& x, const Tensor& h, const RecurrentWeights& weights,
                   const RecurrentOptions& options = {});
/// With gates i, f and o = σ(W x + b + W h + b) and g = tanh(W x + b + W h + b), in the order i, f,
/// g, o: c' = f c + i g and h' = o tanh(c'), of which a projection makes W h' (Hochreiter and
/// Schmidhuber 1997; Sak 2014). Undefined h and c are 0.
RecurrentWithCell lstm(const Tensor& x, const Tensor& h, const Tensor& c,
                       const RecurrentWeights& weights, const RecurrentOptions& options = {});
/// With gates r and z = σ(W x + b + W h + b) and n = tanh(W x + b + r (W h + b)), in the order r,
/// z, n: h' = (1 - z) n + z h (Cho 2014). An undefined h is 0.
Recurrent gru(const Tensor& x, const Tensor& h, const RecurrentWeights& weights,
              const RecurrentOptions& options = {});

}  // namespace autograd

#pragma GCC visibility pop
