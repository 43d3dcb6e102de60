#include "autograd/ops/neural/recurrent.hpp"

#include "autograd/core/internal/helpers.hpp"
#include "autograd/ops/neural/internal/recurrent.hpp"
#include "autograd/ops/ops.hpp"

// Recurrent layers: what they take.
namespace autograd {
namespace {

using kernels::Cell;
using Layer = internal::RecurrentForm;

void check_shape(std::string_view op, std::string_view what, const Tensor& t, const Shape& shape,
                 std::string_view why) {
  if (t.shape() != shape) fail(op, "{} must be {}, {}, got shape {}", what, shape, why, t.shape());
}

void check_weights(std::string_view op, Cell cell, const Tensor& x, const RecurrentWeights& w) {
  const std::int64_t gates = kernels::gates_of(cell);
  const std::string times = gates == 1 ? "" : fmt::format("{} · ", gates);
  internal::check_defined(op, w.input, 1);
  internal::check_defined(op, w.hidden, 2);
  for (const Tensor* t : {&w.input, &w.hidden}) {
    if (t->ndim() != 2 || t->size(0) == 0 || t->size(0) % gates != 0)
      fail(op, "weights must be ({}hidden, in) and ({}hidden, state), got shape {}", times, times,
           t->shape());
    internal::check_same_dtype(op, x, *t);
  }
  const std::int64_t all = w.input.size(0), hidden = all / gates;
  if (w.input.size(1) != x.size(2))
    fail(op, "the last size of x must be that of the input weights, got {} and {}", x.shape(),
         w.input.shape());
  if (cell == Cell::lstm && w.hidden.size(1) < hidden) internal::check_defined(op, w.projection, 5);
  const std::int64_t state = w.projection.defined() ? w.hidden.size(1) : hidden;
  check_shape(op, "the hidden weights", w.hidden, {all, state}, "for these input weights");
  if (w.input_bias.defined() || w.hidden_bias.defined())
    for (const Tensor* t : {&w.input_bias, &w.hidden_bias}) {
      internal::check_defined(op, *t, t == &w.input_bias ? 3 : 4);
      check_shape(op, "a bias", *t, {all}, "one for each row of the weights");
      internal::check_same_dtype(op, x, *t);
    }
  if (!w.projection.defined()) return;
  check_shape(op, "the projection", w.projection, {state, hidden}, "for these hidden weights");
  internal::check_same_dtype(op, x, w.projection);
}

void check_lengths(std::string_view op, const Tensor& lengths, const Tensor& x) {
  if (lengths.dtype() != int64)
    fail(op, "lengths must be int64, got {}; convert with .to(int64)", name(lengths.dtype()));
  if (lengths.shape() != Shape{x.size(1)})
    fail(op, "lengths must be one for each of {} sequences, got shape {}", x.size(1),
         lengths.shape());
}

// x without what it holds beyond the lengths, which may be anything.
Tensor within(const Tensor& x, const Tensor& lengths) {
  const Tensor active = unsqueeze(arange(x.size(0)), 1) < unsqueeze(lengths, 0);
  return where(unsqueeze(active, 2), x, 0.0);
}

Tensor first_state(std::string_view op, const char* what, const Tensor& given, const Tensor& x,
                   std::int64_t size) {
  const Shape shape{x.size(1), size};
  if (!given.defined()) return zeros(shape, x.dtype());
  check_shape(op, what, given, shape, "(batch, state)");
  internal::check_same_dtype(op, x, given);
  return given;
}

RecurrentWithCell recurrent(Cell cell, const Tensor& x, const Tensor& h, const Tensor& c,
                            const RecurrentWeights& w, const RecurrentOptions& options) {
  const std::string_view op = kernels::name(cell);
  const detail::Named as(op.data());
  internal::check_defined(op, x);
  internal::check_floating(op, x);
  if (x.ndim() != 3 || x.size(0) == 0)
    fail(op, "x must be (steps, batch, in) with at least one step, got shape {}", x.shape());
  if (w.projection.defined() && cell != Cell::lstm)
    fail(op, "only an lstm has a projection, got one of shape {}", w.projection.shape());
  check_weights(op, cell, x, w);
  const bool masked = options.lengths.defined();
  if (masked) check_lengths(op, options.lengths, x);
  const Layer layer{cell, w.input_bias.defined(), w.projection.defined(), masked, options.reverse};
  TensorList in{masked ? within(x, options.lengths) : x, w.input, w.hidden,
                first_state(op, "h", h, x, w.hidden.size(1))};
  if (layer.biased) {
    in.push_back(w.input_bias);
    in.push_back(w.hidden_bias);
  }
  if (layer.projected) in.push_back(w.projection);
  if (layer.has_cell())
    in.push_back(first_state(op, "c", c, x, w.input.size(0) / kernels::gates_of(cell)));
  if (masked) in.push_back(options.lengths);
  const auto out = internal::recurrent(layer, InputList(in));
  return {out[0], out[1], out[2]};
}

Recurrent without_cell(const RecurrentWithCell& r) { return {r.output, r.h}; }

}  // namespace

Recurrent rnn_tanh(const Tensor& x, const Tensor& h, const RecurrentWeights& weights,
                   const RecurrentOptions& options) {
  return without_cell(recurrent(Cell::tanh, x, h, {}, weights, options));
}
Recurrent rnn_relu(const Tensor& x, const Tensor& h, const RecurrentWeights& weights,
                   const RecurrentOptions& options) {
  return without_cell(recurrent(Cell::relu, x, h, {}, weights, options));
}
RecurrentWithCell lstm(const Tensor& x, const Tensor& h, const Tensor& c,
                       const RecurrentWeights& weights, const RecurrentOptions& options) {
  return recurrent(Cell::lstm, x, h, c, weights, options);
}
Recurrent gru(const Tensor& x, const Tensor& h, const RecurrentWeights& weights,
              const RecurrentOptions& options) {
  return without_cell(recurrent(Cell::gru, x, h, {}, weights, options));
}

}  // namespace autograd
