// Trains the CNN of models.hpp for some steps, and prints by how many KiB the peak of the memory is
// above what the process had with model and data, before the first step.
#include <sys/resource.h>

#include <cstdio>
#include <fstream>

namespace {

// Of the process, now.
long resident() {
  std::ifstream file("/proc/self/statm");
  long size = 0, pages = 0;
  file >> size >> pages;
  return pages * 4;
}
long peak() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}
template <class Step>
void measure(const Step& step) {
  const long before = resident();
  for (int i = 0; i < 5; ++i) step();
  std::printf("%ld\n", peak() - before);
}

}  // namespace

#ifdef LIBTORCH
#include <torch/torch.h>
int main() {
  using namespace torch::nn;  // NOLINT
  torch::set_num_threads(1);
  Sequential model(Conv2d(1, 32, 3), ReLU(), Conv2d(32, 64, 3), ReLU(), MaxPool2d(2), Flatten(),
                   Linear(9216, 128), ReLU(), Linear(128, 10));
  torch::optim::Adam optimizer(model->parameters(), torch::optim::AdamOptions(1e-5));
  const auto x = torch::rand({64, 1, 28, 28}), y = torch::randint(0, 10, {64}, torch::kLong);
  measure([&] {
    optimizer.zero_grad();
    functional::cross_entropy(model->forward(x), y).backward();
    optimizer.step();
  });
}
#else
#include "models.hpp"
int main() {
  workloads::cnn(
      [](const auto& step, const auto&... inputs) { measure([&] { step(inputs...); }); });
}
#endif
