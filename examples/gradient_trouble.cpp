// Gradients that vanish and gradients that explode in a deep network, shown by a report, and their
// cures. Every network has to learn the same function of eight numbers.
#include <autograd/autograd.hpp>
#include <nn/nn.hpp>

#include <fmt/core.h>

#include <cmath>
#include <string>
#include <vector>

namespace ag = autograd;

namespace {

constexpr int kDepth = 12, kWidth = 32;

nn::MLP network(const nn::AnyModule& activation, bool layer_norm = false) {
  return nn::MLP(8, std::vector<std::int64_t>(kDepth, kWidth), 1,
                 {.activation = activation, .layer_norm = layer_norm});
}

// Gives every Linear new weights.
template <class F>
void initialise(nn::Module& model, F init) {
  model.apply([&](nn::Module& m) {
    if (auto* layer = dynamic_cast<nn::Linear*>(&m)) {
      init(layer->weight);
      nn::init::zeros_(layer->bias);
    }
  });
}

struct Outcome {
  nn::GradientReport report;
  double loss = 0;
};

// The report of the first gradient, and the loss after some training.
Outcome train(nn::MLP& model, double max_norm = 0) {
  ag::manual_seed(1);
  const ag::Tensor x = ag::randn({256, 8});
  const ag::Tensor y = ag::sin(ag::sum(x, 1, true)) + ag::narrow(x, 1, 0, 1);
  nn::optim::SGD optimizer(model.parameters(), {.lr = 0.02, .momentum = 0.9});
  Outcome outcome;
  for (int step = 0; step < 300; ++step) {
    optimizer.zero_grad();
    const ag::Tensor loss = nn::mse_loss(model(x), y);
    loss.backward();
    if (step == 0) outcome.report = nn::gradient_report(model, {.lr = optimizer.lr()});
    if (max_norm > 0) nn::clip_grad_norm_(model.parameters(), max_norm);
    optimizer.step();
    outcome.loss = loss.item();
  }
  return outcome;
}

int surprises = 0;

Outcome show(const std::string& title, nn::MLP model, bool healthy, double max_norm = 0) {
  const Outcome outcome = train(model, max_norm);
  const auto& rows = outcome.report.rows;
  fmt::print(
      "{}\n  |g| of the first layer {:.1e}, of the last {:.1e}; loss after training {:.3f}\n",
      title, rows.front().norm, rows[rows.size() - 2].norm, outcome.loss);
  fmt::print("  {}\n\n", outcome.report.healthy() ? "healthy" : "NOT healthy");
  surprises += outcome.report.healthy() != healthy;
  return outcome;
}

}  // namespace

int main() {
  ag::manual_seed(0);
  auto kaiming = [](nn::Parameter& w) { nn::init::kaiming_normal_(w); };

  const Outcome vanishing = show("Sigmoids: each layer passes a quarter of the slope on at most",
                                 network(nn::Sigmoid()), false);
  fmt::print("{}\n\n", vanishing.report);

  nn::MLP relu = network(nn::ReLU());
  initialise(relu, kaiming);
  show("Cured by ReLU with Kaiming's initial weights", relu, true);

  auto too_large = [](nn::Parameter& w) { nn::init::normal_(w, 0.0, 0.6); };
  nn::MLP large = network(nn::ReLU());
  initialise(large, too_large);
  const Outcome exploding = show("Weights too large: each layer multiplies", large, false);
  fmt::print("{}\n\n", exploding.report.verdict());
  const Outcome clipped = show("The same, clipped: it no longer diverges", large, false, 1.0);

  nn::MLP normalised = network(nn::ReLU(), true);
  initialise(normalised, too_large);
  show("As large, cured by LayerNorm before each ReLU", normalised, true);

  surprises += !(clipped.loss < 1e6) + std::isfinite(exploding.loss);
  fmt::print("{}\n", surprises ? "NOT AS EXPECTED" : "all as expected");
  return surprises;
}
