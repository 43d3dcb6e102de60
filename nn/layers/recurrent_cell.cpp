#include "nn/layers/recurrent_cell.hpp"

#include <fmt/format.h>

#include <cmath>

#include "autograd/ops/ops.hpp"
#include "nn/module/init.hpp"

namespace nn {
namespace detail {
namespace {

constexpr std::int64_t kLargestSize = std::int64_t{1} << 48;  // gates times it fit in 63 bits
constexpr std::string_view kNames[] = {"rnn_cell", "rnn_cell", "lstm_cell", "gru_cell"};

}  // namespace

RecurrentCellBase::RecurrentCellBase(RecurrentKind kind, std::int64_t input_size,
                                     std::int64_t hidden_size, bool bias)
    : kind_(kind) {
  if (input_size < 1 || hidden_size < 1)
    ag::fail(kNames[static_cast<int>(kind)],
             "input_size and hidden_size must be at least 1, got {} and {}", input_size,
             hidden_size);
  if (hidden_size > kLargestSize)
    ag::fail(kNames[static_cast<int>(kind)], "hidden_size must be at most {}, got {}", kLargestSize,
             hidden_size);
  const std::int64_t gates = gates_of(kind) * hidden_size;
  weight_ih = Parameter(ag::empty({gates, input_size}));
  weight_hh = Parameter(ag::empty({gates, hidden_size}));
  if (bias) {
    bias_ih = Parameter(ag::empty({gates}));
    bias_hh = Parameter(ag::empty({gates}));
  }
  reset_parameters();
}

void RecurrentCellBase::reset_parameters() {
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size()));
  for (const Parameter* p : {&weight_ih, &weight_hh, &bias_ih, &bias_hh})
    if (p->defined()) init::uniform_(*p, -bound, bound);
}

std::string RecurrentCellBase::extra_repr() const {
  return fmt::format("{}, {}{}{}", input_size(), hidden_size(),
                     bias_ih.defined() ? "" : ", bias=False",
                     kind_ == RecurrentKind::rnn_relu ? ", nonlinearity=relu" : "");
}

LSTMState RecurrentCellBase::step(const ag::Tensor& x, const LSTMState& state) const {
  const std::string_view op = kNames[static_cast<int>(kind_)];
  const ag::detail::Named as(op);
  if (!x.defined()) ag::fail(op, "x must be defined, got an undefined tensor");
  if (x.ndim() < 1 || x.ndim() > 2 || x.size(-1) != input_size())
    ag::fail(op, "x must be (batch, in) or (in) with {} for in, got shape {}", input_size(),
             x.shape());
  const bool single = x.ndim() == 1;
  const auto batched = [&](const char* what, const ag::Tensor& given) {
    if (!given.defined()) return given;
    ag::Shape shape = x.shape();
    shape.back() = hidden_size();
    if (given.shape() != shape)
      ag::fail(op, "{} must be {}, {}, got shape {}", what, single ? "(hidden)" : "(batch, hidden)",
               shape, given.shape());
    return single ? ag::unsqueeze(given, 0) : given;
  };
  const ag::Tensor sequence = ag::unsqueeze(single ? ag::unsqueeze(x, 0) : x, 0),
                   h = batched("h", state.h), c = batched("c", state.c);
  const ag::RecurrentWithCell r =
      run_layer(kind_, sequence, h, c, {weight_ih, weight_hh, bias_ih, bias_hh});
  if (!single) return {r.h, r.c};
  return {ag::squeeze(r.h, 0), r.c.defined() ? ag::squeeze(r.c, 0) : r.c};
}

}  // namespace detail

RNNCell::RNNCell(std::int64_t input_size, std::int64_t hidden_size, const RNNCellOptions& options)
    : RecurrentCellBase(options.nonlinearity == Nonlinearity::relu
                            ? detail::RecurrentKind::rnn_relu
                            : detail::RecurrentKind::rnn_tanh,
                        input_size, hidden_size, options.bias) {}
ag::Tensor RNNCell::forward(const ag::Tensor& x, const ag::Tensor& h) const {
  return step(x, {.h = h}).h;
}

LSTMCell::LSTMCell(std::int64_t input_size, std::int64_t hidden_size,
                   const RecurrentCellOptions& options)
    : RecurrentCellBase(detail::RecurrentKind::lstm, input_size, hidden_size, options.bias) {}
LSTMState LSTMCell::forward(const ag::Tensor& x, const LSTMState& state) const {
  return step(x, state);
}

GRUCell::GRUCell(std::int64_t input_size, std::int64_t hidden_size,
                 const RecurrentCellOptions& options)
    : RecurrentCellBase(detail::RecurrentKind::gru, input_size, hidden_size, options.bias) {}
ag::Tensor GRUCell::forward(const ag::Tensor& x, const ag::Tensor& h) const {
  return step(x, {.h = h}).h;
}

}  // namespace nn
