// Gradients over time: a plain RNN forgets, an LSTM and a GRU remember. Each has to tell at the end of a
// sequence what its first number was, with noise in between. In the plain RNN the gradient shrinks on
// its way to the first step, at every step by a factor, and nothing is learnt from it.
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

namespace ag = autograd;
using ag::Tensor, ag::indexing::all;

constexpr std::int64_t kSteps = 60, kState = 32, kBatch = 64;

template <class Layer>
struct Recall : nn::Module {
  Layer layer{1, kState, {.batch_first = true}};
  nn::Linear head{kState, 1};
  NN_MODULE(layer, head)
  Tensor forward(const Tensor& x) const {  // (n, steps, 1) -> (n, 1)
    return head(layer(x).output[{all, -1}]);
  }
};

// Sequences (n, steps, 1), and of each what is to be remembered (n, 1): whether it began with 1 or -1.
std::pair<Tensor, Tensor> draw() {
  const Tensor y = ag::bernoulli({kBatch, 1}, 0.5);
  const Tensor noise = 0.2 * ag::randn({kBatch, kSteps - 1, 1});
  return {ag::concat({ag::unsqueeze(2 * y - 1, 2), noise}, 1), y};
}

// How large the gradient of the loss is at each step of the input.
Tensor gradient_at_steps(const nn::Module&, const auto& model) {
  auto [x, y] = draw();
  x.requires_grad_();
  nn::binary_cross_entropy_with_logits(model(x), y).backward();
  return ag::norm(ag::squeeze(x.grad(), 2), 0);
}

template <class Layer>
double train(const char* name, int steps) {
  ag::manual_seed(1);
  Recall<Layer> model;
  const Tensor before = gradient_at_steps(model, model);
  nn::optim::Adam optimizer(model.parameters(), {.lr = 5e-3});
  auto step = ag::compile([&](const Tensor& x, const Tensor& y) {
    optimizer.zero_grad();
    const Tensor loss = nn::binary_cross_entropy_with_logits(model(x), y);
    loss.backward();
    nn::clip_grad_norm_(model.parameters(), 1.0);
    optimizer.step();
    return loss;
  });
  for (int i = 0; i < steps; ++i) {
    const auto [x, y] = draw();
    step(x, y);
  }
  const auto [x, y] = draw();
  const double right =
      ag::mean(((nn::predict(model, x) > 0.0) == (y > 0.5)).to(ag::float32)).item();
  const auto g = before.array<float>();
  fmt::print(
      "{:5}  gradient at step 60: {:.1e}, 30: {:.1e}, 1: {:.1e}   right after training: {:.2f}\n",
      name, g(kSteps - 1), g(kSteps / 2 - 1), g(0), right);
  return right;
}

int main() {
  const double rnn = train<nn::RNN>("RNN", 400), lstm = train<nn::LSTM>("LSTM", 400),
               gru = train<nn::GRU>("GRU", 400);
  return rnn < 0.8 && lstm > 0.95 && gru > 0.95 ? 0 : 1;
}
