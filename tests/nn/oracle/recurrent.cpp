#include "nn/layers/recurrent.hpp"

#include "nn/layers/recurrent_cell.hpp"
#include "tests/catch.hpp"
#include "tests/nn/oracle/oracle.hpp"

namespace {

using namespace oracle;

TensorList all_of(const nn::LSTMState& s) { return {s.h, s.c}; }
TensorList all_of(const ag::Tensor& h) { return {h}; }
TensorList all_of(const nn::RecurrentOutput& r) { return {r.output, r.h}; }
TensorList all_of(const nn::LSTMOutput& r) { return {r.output, r.state.h, r.state.c}; }

// What a call takes besides x.
template <class L>
auto input_of(const TensorList& states, const ag::Tensor& lengths) {
  const auto state = [&](std::size_t i) { return i < states.size() ? states[i] : ag::Tensor(); };
  if constexpr (std::same_as<L, nn::LSTM>)
    return nn::LSTMInput{state(0), state(1), lengths};
  else if constexpr (std::same_as<L, nn::LSTMCell>)
    return nn::LSTMState{state(0), state(1)};
  else if constexpr (std::same_as<L, nn::RNNCell> || std::same_as<L, nn::GRUCell>)
    return state(0);
  else
    return nn::RecurrentInput{state(0), lengths};
}

/// A layer with PyTorch's state dict, on the first input and the states, which follow it.
template <class L>
Call recurrent(const L& model, const ag::Tensor& lengths = {}) {
  return [=](const Question& q) {
    L mine = model;
    const std::size_t count = load_state(mine, q, 1);
    const TensorList states(q.inputs.begin() + count + 1, q.inputs.end());
    TensorList leaves{q.inputs[0]};
    for (const ag::Tensor& p : mine.parameters()) leaves.push_back(p);
    leaves.append(states.begin(), states.end());
    return Answer{all_of(mine(q.inputs[0], input_of<L>(states, lengths))), leaves};
  };
}

// x, states, and the weights of a layer; states of PyTorch's have an axis of layers.
Call operation(ag::Recurrent (*f)(T, T, const ag::RecurrentWeights&, const ag::RecurrentOptions&),
               bool reverse = false) {
  return [=](const TensorList& in) {
    const auto r = f(in[0], in[1][0], {in[2], in[3], in[4], in[5]}, {.reverse = reverse});
    return TensorList{r.output, ag::unsqueeze(r.h, 0)};
  };
}
Call lstm(bool reverse) {
  return [=](const TensorList& in) {
    const auto r =
        ag::lstm(in[0], in[1][0], in[2][0], {in[3], in[4], in[5], in[6]}, {.reverse = reverse});
    return TensorList{r.output, ag::unsqueeze(r.h, 0), ag::unsqueeze(r.c, 0)};
  };
}

}  // namespace

namespace oracle {

void add_recurrent(std::vector<Row>& rows) {
  const auto lengths = [](std::int64_t a, std::int64_t b, std::int64_t c) {
    return ag::tensor({a, b, c});
  };
  const auto relu = nn::RNN::Nonlinearity::relu;
  const std::vector<Row> table{
      {"RNN", recurrent(nn::RNN(3, 4))},
      {"RNN relu num_layers=2 batch_first states",
       recurrent(nn::RNN(3, 4, {.num_layers = 2, .nonlinearity = relu, .batch_first = true}))},
      {"RNN bidirectional without bias lengths",
       recurrent(nn::RNN(3, 4, {.bias = false, .bidirectional = true}), lengths(2, 4, 1))},
      {"LSTM", recurrent(nn::LSTM(3, 4))},
      {"LSTM states", recurrent(nn::LSTM(3, 4))},
      {"LSTM unbatched bidirectional states", recurrent(nn::LSTM(2, 3, {.bidirectional = true}))},
      {"LSTM num_layers=2 bidirectional batch_first lengths",
       recurrent(nn::LSTM(2, 3, {.num_layers = 2, .batch_first = true, .bidirectional = true}),
                 lengths(3, 1, 4))},
      {"LSTM proj_size=2 states", recurrent(nn::LSTM(3, 4, {.proj_size = 2}))},
      {"LSTM num_layers=2 bidirectional proj_size=1 lengths without bias",
       recurrent(
           nn::LSTM(2, 3, {.num_layers = 2, .bias = false, .bidirectional = true, .proj_size = 1}),
           lengths(2, 3, 1))},
      {"LSTM hidden=9", recurrent(nn::LSTM(2, 9))},
      {"GRU", recurrent(nn::GRU(3, 4))},
      {"GRU hidden=17", recurrent(nn::GRU(2, 17))},
      {"GRU unbatched states", recurrent(nn::GRU(3, 4))},
      {"GRU num_layers=2 bidirectional lengths states",
       recurrent(nn::GRU(2, 3, {.num_layers = 2, .bidirectional = true}), lengths(1, 4, 3))},
      {"GRU batch_first without bias",
       recurrent(nn::GRU(2, 3, {.bias = false, .batch_first = true}))},
      {"GRU empty batch", recurrent(nn::GRU(2, 3))},
      {"RNNCell", recurrent(nn::RNNCell(3, 4))},
      {"RNNCell relu without bias",
       recurrent(nn::RNNCell(3, 4, {.bias = false, .nonlinearity = relu}))},
      {"LSTMCell", recurrent(nn::LSTMCell(3, 4))},
      {"LSTMCell without states", recurrent(nn::LSTMCell(3, 4))},
      {"LSTMCell unbatched without bias", recurrent(nn::LSTMCell(3, 4, {.bias = false}))},
      {"GRUCell", recurrent(nn::GRUCell(3, 4))},
      {"GRUCell without bias and states", recurrent(nn::GRUCell(3, 4, {.bias = false}))},
      {"rnn_tanh", operation(ag::rnn_tanh)},
      {"rnn_relu reverse", operation(ag::rnn_relu, true)},
      {"lstm", lstm(false)},
      {"lstm reverse", lstm(true)},
      {"gru", operation(ag::gru)},
      {"gru reverse", operation(ag::gru, true)},
  };
  rows.insert(rows.end(), table.begin(), table.end());
}

const Cases recurrent_cases(add_recurrent);

}  // namespace oracle
