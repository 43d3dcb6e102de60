// Gradients over time. Each network has to tell, after 100 steps of noise, with what its sequence
// began. On its way back the gradient shrinks at every step, and at the first one nothing is left of
// it: so in a plain RNN, and in an LSTM or GRU whose gates let through a half. With a bias that
// opens the gate that keeps (Gers 2000), it arrives, and a few dozen steps of training are enough.
#include <fmt/core.h>

#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;
using ag::Tensor, ag::indexing::all, ag::indexing::slice;

constexpr std::int64_t kSteps = 100, kState = 32, kBatch = 64;

template <class Layer>
struct Recall : nn::Module {
  Layer layer{1, kState, {.batch_first = true}};
  nn::Linear head{kState, 1};
  NN_MODULE(layer, head)
  Tensor forward(const Tensor& x) const {  // (n, steps, 1) -> (n, 1)
    return head(layer(x).output[{all, -1}]);
  }
};

// Sequences (n, steps, 1) that begin with 1 or -1, and which it was (n, 1).
std::pair<Tensor, Tensor> draw() {
  const Tensor y = ag::bernoulli({kBatch, 1}, 0.5);
  const Tensor noise = 0.2 * ag::randn({kBatch, kSteps - 1, 1});
  return {ag::concat({ag::unsqueeze(2 * y - 1, 2), noise}, 1), y};
}

// Whether it is learnt. `open` opens the gate that keeps: the second, in an LSTM and in a GRU.
template <class Layer>
bool learns(const char* name, bool open) {
  ag::manual_seed(1);
  Recall<Layer> model;
  if (open) {
    Tensor bias = model.layer.parameters_of(0).bias_ih;
    bias[slice(kState, 2 * kState)] = 4.0;
  }
  auto [first, which] = draw();
  first.requires_grad_();
  nn::binary_cross_entropy_with_logits(model(first), which).backward();
  const Tensor sizes = ag::sqrt(ag::sum(ag::square(first.grad()), {0, 2}));
  model.zero_grad();

  nn::optim::Adam optimizer(model.parameters(), {.lr = 5e-3});
  auto step = ag::compile([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor loss = nn::binary_cross_entropy_with_logits(model(x), y);
    loss.backward();
    nn::clip_grad_norm_(model.parameters(), 1.0);
    optimizer.step();
    return loss;
  });
  int steps = 0;
  double loss = 1;  // of the last ten or so
  for (; steps < 400 && loss > 0.05; ++steps) {
    const auto [x, y] = draw();
    loss = 0.9 * loss + 0.1 * step(x, y).item();
  }
  const auto at = sizes.array<float>();
  fmt::print(
      "{:21} {:7.0e} {:7.0e} {:7.0e}   {}\n", name, at(kSteps - 1), at(kSteps / 2), at(0),
      loss > 0.05 ? "nothing learnt in 400 steps" : fmt::format("learnt in {} steps", steps));
  return loss <= 0.05;
}

int main() {
  fmt::print("gradient of the loss at step 100, 51 and 1\n");
  const bool rnn = learns<nn::RNN>("RNN", false), lstm = learns<nn::LSTM>("LSTM", false),
             gru = learns<nn::GRU>("GRU", false);
  const bool open_lstm = learns<nn::LSTM>("LSTM, gate open", true);
  const bool open_gru = learns<nn::GRU>("GRU, gate open", true);
  return !rnn && !lstm && !gru && open_lstm && open_gru ? 0 : 1;
}
