#pragma once

#include <string_view>

#include "autograd/core/kernel.hpp"

/// Recurrent layers: steps that each need the state of the one before. What does not, the products
/// with x and the gradients of the weights, is left to products over all steps at once.
namespace autograd::kernels {

/// What a step computes from its gates.
enum class Cell { tanh, relu, lstm, gru };
constexpr std::string_view name(Cell cell) {
  constexpr std::string_view names[] = {"rnn_tanh", "rnn_relu", "lstm", "gru"};
  return names[static_cast<int>(cell)];
}
/// In the order of PyTorch: input, forget, cell, output; reset, update, new.
constexpr std::int64_t gates_of(Cell cell) {
  return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1;
}
/// Numbers besides the gates that a step keeps for its gradient, in units of hidden: the cell state
/// of an lstm, the hidden part of a gru's new gate.
constexpr std::int64_t kept_of(Cell cell) { return cell == Cell::lstm || cell == Cell::gru; }

/// `steps` steps of `batch` sequences, in their order or, with `reverse`, from the last to the
/// first. Sequence i has lengths[i] ≥ 1 steps, or all; the others leave its state as it is.
struct Recurrence {
  Cell cell;
  bool reverse;
  std::int64_t steps, batch, hidden;
  std::int64_t state;           // of h: hidden, or what it is projected to
  bool projected;               // lstm only
  const std::int64_t* lengths;  // or null

  std::int64_t gates() const { return gates_of(cell) * hidden; }
  std::int64_t kept() const { return kept_of(cell) * hidden; }
};

/// A matrix in panels of columns, as products here read it.
template <class T>
constexpr std::int64_t kPanelColumns = 128 / sizeof(T);
template <class T>
constexpr std::int64_t packed_size(std::int64_t rows, std::int64_t columns) {
  return (columns + kPanelColumns<T> - 1) / kPanelColumns<T> * kPanelColumns<T> * rows;
}
/// `to`, filled with zeros, = the matrix (rows, columns) whose element (i, j) is from[i row_step +
/// j column_step].
template <class T>
struct PackMatrix : Kernel<PackMatrix<T>, Whole,
                           void(const T* from, std::int64_t row_step, std::int64_t column_step,
                                std::int64_t rows, std::int64_t columns, T* to)> {};

/// Where a recurrence reads and writes. Rows of sequences follow one another within each step.
template <class T>
struct RecurrenceValue {
  const T* x;            // (steps, batch, inputs), or null: the gates have its part already
  const T* input;        // packed (inputs, gates), for x
  std::int64_t inputs;   // 0 without x
  const T* weight;       // packed (state, gates)
  const T* projection;   // packed (hidden, state); or null
  const T* bias;         // (gates), to add to them, or null
  const T* hidden_bias;  // (hidden), of the hidden part of a gru's new gate, or null
  T* gates;              // in: the part of x, if there is no x; out: the gates
  T* kept;
  T *h, *c;  // (batch, state), (batch, hidden): first, then last state; c of an lstm only
  T* output;
  T* work;  // (batch, hidden + state), for a projection
};
/// The sequences from begin to end. An element is one chain of fused multiplications and additions,
/// so bits do not depend on how the sequences are cut.
template <class T>
struct Recur : Kernel<Recur<T>, Whole,
                      void(const Recurrence& shape, const RecurrenceValue<T>& value,
                           std::int64_t begin, std::int64_t end)> {};

/// Where the gradient of a recurrence reads and writes.
template <class T>
struct RecurrenceGradient {
  const T* weight;                 // packed (gates, state)
  const T* projection;             // packed (state, hidden); or null
  const T *gates, *kept, *output;  // of the recurrence
  const T *h, *c;                  // first state
  const T* g;                      // cotangent of output, or null
  T *dh, *dc;                      // in: cotangents of the last state; out: gradients of the first
  bool first;                      // whether that of the first h is wanted
  T* dgates;                       // of the part of x
  T* dhidden;   // of the part of h: for a gru one of its own, otherwise dgates itself
  T* previous;  // (steps, batch, state): the h that each step began with, 0 beyond the lengths
  T* dstate;    // (steps, batch, state): cotangents of h, for a projection
  T* inner;     // (steps, batch, hidden): what is projected
  T* work;      // (batch, hidden), for a projection
};
template <class T>
struct RecurBack : Kernel<RecurBack<T>, Whole,
                          void(const Recurrence& shape, const RecurrenceGradient<T>& gradient,
                               std::int64_t begin, std::int64_t end)> {};

/// Where the tangent of a recurrence reads and writes.
template <class T>
struct RecurrenceTangent {
  const T* weight;                 // packed (state, gates)
  const T* projection;             // packed (hidden, state); or null
  const T *gates, *kept, *output;  // of the recurrence
  const T *h, *c;                  // first state
  const T* tstate;  // (steps, batch, state): what the tangent of a projection adds, or null
  // In: tangents of what the functions of the gates are of, but for those through the state; these
  // are added to `thidden`: of a gru the tangents of the part of h, otherwise tgates itself.
  T *tgates, *thidden;
  T *th, *tc;  // in: tangents of the first state; out: of the last
  T* toutput;
  T* work;  // (batch, hidden + state), for a projection
};
template <class T>
struct RecurTangent : Kernel<RecurTangent<T>, Whole,
                             void(const Recurrence& shape, const RecurrenceTangent<T>& tangent,
                                  std::int64_t begin, std::int64_t end)> {};

/// All sequences, on the threads there are.
template <class T>
void recur(const Recurrence& shape, const RecurrenceValue<T>& value);
template <class T>
void recur_back(const Recurrence& shape, const RecurrenceGradient<T>& gradient);
template <class T>
void recur_tangent(const Recurrence& shape, const RecurrenceTangent<T>& tangent);

}  // namespace autograd::kernels
