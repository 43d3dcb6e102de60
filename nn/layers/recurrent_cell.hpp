#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nn/layers/recurrent.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

/// Single steps of recurrent layers, for loops of one's own: x is (batch, in) or (in), states are
/// (batch, hidden) or (hidden). Over whole sequences the layers of recurrent.hpp are faster.
namespace nn {

namespace detail {
/// What the cells share. All weights start uniform in ±1/√hidden, as in PyTorch.
struct RecurrentCellBase : Module {
  /// Draws new initial values.
  void reset_parameters();
  std::int64_t input_size() const { return weight_ih.size(1); }
  std::int64_t hidden_size() const { return weight_hh.size(1); }
  std::string extra_repr() const override;

  Parameter weight_ih;  ///< (gates · hidden, in)
  Parameter weight_hh;  ///< (gates · hidden, hidden)
  Parameter bias_ih;    ///< (gates · hidden)
  Parameter bias_hh;    ///< (gates · hidden)

 protected:
  RecurrentCellBase(RecurrentKind kind, std::int64_t input_size, std::int64_t hidden_size,
                    bool bias);
  LSTMState step(const ag::Tensor& x, const LSTMState& state) const;

 private:
  RecurrentKind kind_;
};
}  // namespace detail

/// Options of `RNNCell`.
struct RNNCellOptions {
  bool bias = true;
  RNNOptions::Nonlinearity nonlinearity = RNNOptions::Nonlinearity::tanh;
};

/// h' = tanh(W x + b + W h + b), or relu of that: `h = cell(x, h)`, `cell(x)` for h = 0.
class RNNCell : public detail::RecurrentCellBase {
 public:
  using Nonlinearity = RNNOptions::Nonlinearity;
  /// Sizes of at least 1.
  RNNCell(std::int64_t input_size, std::int64_t hidden_size, const RNNCellOptions& options = {});
  NN_MODULE(weight_ih, weight_hh, bias_ih, bias_hh)
  ag::Tensor forward(const ag::Tensor& x, const ag::Tensor& h = {}) const;
};

/// Options of `LSTMCell` and `GRUCell`.
struct RecurrentCellOptions {
  bool bias = true;
};

/// A step of `ag::lstm`: `state = cell(x, state)` or `cell(x, {h, c})`, `cell(x)` for zeros.
class LSTMCell : public detail::RecurrentCellBase {
 public:
  /// Sizes of at least 1.
  LSTMCell(std::int64_t input_size, std::int64_t hidden_size,
           const RecurrentCellOptions& options = {});
  NN_MODULE(weight_ih, weight_hh, bias_ih, bias_hh)
  LSTMState operator()(const ag::Tensor& x, const LSTMState& state) const {
    return call_forward(*this, x, state);
  }
  LSTMState forward(const ag::Tensor& x, const LSTMState& state = {}) const;
};

/// A step of `ag::gru`: `h = cell(x, h)`, `cell(x)` for h = 0.
class GRUCell : public detail::RecurrentCellBase {
 public:
  /// Sizes of at least 1.
  GRUCell(std::int64_t input_size, std::int64_t hidden_size,
          const RecurrentCellOptions& options = {});
  NN_MODULE(weight_ih, weight_hh, bias_ih, bias_hh)
  ag::Tensor forward(const ag::Tensor& x, const ag::Tensor& h = {}) const;
};

}  // namespace nn

#pragma GCC visibility pop
