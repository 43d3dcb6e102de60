// usage: report_page FILE   writes a report with something of everything
#include <cmath>

#include "nn/nn.hpp"

namespace ag = autograd;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  nn::Sequential model{nn::Flatten(), nn::Linear(64, 32), nn::Tanh(), nn::Linear(32, 12)};
  const ag::Tensor x = ag::randn({50, 1, 8, 8}), y = ag::randint(0, 12, {50});
  nn::optim::Adam optimizer(model.parameters(), {.lr = 0.01});
  nn::TrainingReport report("A report for the browser");
  for (int step = 0; step < 100; ++step) {
    optimizer.zero_grad();
    const ag::Tensor loss = nn::cross_entropy(model(x), y);
    loss.backward();
    report.add_scalar("loss/training", loss.item(), step);
    report.add_scalar("loss/validation", step % 10 == 3 ? NAN : loss.item() + 0.1, step);
    report.add_scalar("lr", 0.01, step);
    report.add_gradients(model, step);
    optimizer.step();
  }
  const ag::Tensor logits = ag::randn({50, 12});
  report.add_confusion("Confusion", nn::confusion_matrix(logits, y));
  report.add_mistakes("Mistakes", x, logits, y);
  report.add_text("Model", nn::summary(model, {1, 1, 8, 8}).str());
  report.add_options({{"--lr", "0.01"}});
  report.save(argv[1]);
}
