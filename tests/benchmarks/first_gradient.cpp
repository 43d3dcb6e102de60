// Takes one gradient and prints the peak of its memory in KiB: what a small program costs to start.
#include <sys/resource.h>

#include <cstdio>

#ifdef LIBTORCH
#include <torch/torch.h>
double gradient() {
  auto x = torch::ones({1}, torch::requires_grad());
  (x * x).backward();
  return x.grad().item<float>();
}
#else
#include <autograd/autograd.hpp>
double gradient() {
  autograd::Tensor x = autograd::ones({1}).requires_grad_();
  (x * x).backward();
  return x.grad().item<float>();
}
#endif

int main() {
  if (gradient() != 2) return 1;
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%ld\n", usage.ru_maxrss);
}
