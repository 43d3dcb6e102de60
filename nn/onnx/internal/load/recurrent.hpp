#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/onnx/internal/load/elements.hpp"

/// RNN, GRU and LSTM of ONNX, by the operations of autograd where they are the common ones, else
/// step by step.
namespace nn::interpreter {

enum class RecurrentKind { rnn, gru, lstm };

struct Activation {
  std::string name;
  double alpha, beta;
  Tensor operator()(const Tensor& x) const;
};

/// What one direction works on: x is (steps, batch, in), weights have ONNX's order of gates.
struct DirectionInput {
  Tensor x, h, c, weight, recurrence, bias, peepholes, lengths;
  bool reverse;
};
struct DirectionOutput {
  Tensor output, h, c;
};

struct RecurrentNode {
  RecurrentKind kind;
  std::int64_t directions = 1;
  bool reverse = false, batch_first = false, linear_before_reset = false, input_forget = false;
  std::optional<double> clip{};
  std::vector<Activation> activations{};  ///< of each direction

  bool is_common(const DirectionInput& in) const;
  std::span<const Activation> activations_of(bool backward) const;
};

DirectionOutput recurrent_by_steps(const RecurrentNode& node, const DirectionInput& in);

}  // namespace nn::interpreter
