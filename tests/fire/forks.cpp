// usage: forks [N]
// A process forks N times (default 200) while its other threads train: each child trains as well, with and without threads of
// its own, and must come to the same bits and end.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <thread>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/nn.hpp"
#include "tests/fire/bytes.hpp"

namespace ag = autograd;

namespace {

// Everything that threads share: blocks of memory, recordings, rows of gradients, the BLAS.
std::string work() {
  ag::Generator generator(3);
  nn::Embedding table(50, 16);
  nn::Linear layer(16, 16);
  for (const auto& p : {table.parameters()[0], layer.parameters()[0], layer.parameters()[1]}) {
    const ag::NoGrad off;
    ag::Tensor t = p;
    t.copy_(ag::randn(t.shape(), ag::float32, generator));
  }
  nn::optim::SGD optimizer({table.parameters()[0], layer.parameters()[0]}, {.lr = 0.1});
  const ag::Tensor places = ag::randint(0, 50, {64}, generator);
  auto step = ag::compile([&](const ag::Tensor& at) {
    const ag::Tensor loss = ag::mean(ag::square(layer(table(at))));
    loss.backward();
    return loss.detach();
  });
  std::string bytes;
  for (int i = 0; i < 5; ++i) {
    optimizer.zero_grad();
    bytes += fire::bytes_of(step(places));
    optimizer.step();
  }
  const ag::Tensor x = ag::randn({200, 300}, ag::float32, generator);
  return bytes + fire::bytes_of(ag::tanh(ag::matmul(x, ag::transpose(x))));
}

// The exit code of a child that does it.
int child(const std::string& right) try {
  alarm(60);  // waiting for a lock that nobody holds
  if (work() != right) return 2;
  ag::set_num_threads(3);
  return work() == right ? 0 : 3;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 4;
}

void run(int forks) {
  ag::set_num_threads(2);
  const std::string right = work();
  std::atomic<bool> stop = false;
  std::vector<std::thread> others;
  for (int t = 0; t < 3; ++t)
    others.emplace_back([&] {
      while (!stop) work();
    });
  int failed = 0, status = 0;
  for (int i = 0; i < forks && failed == 0; ++i) {
    const pid_t pid = fork();
    if (pid == 0) _exit(child(right));
    waitpid(pid, &status, 0);
    failed += status != 0;
  }
  stop = true;
  for (auto& t : others) t.join();
  if (failed != 0) throw std::runtime_error(fmt::format("a child ended with status {}", status));
  fmt::print("{} children came to the same bits\n", forks);
}

}  // namespace

int main(int argc, char** argv) try {
  run(argc > 1 ? std::atoi(argv[1]) : 200);
  return 0;
} catch (const std::exception& e) {
  return fmt::print(stderr, "{}\n", e.what()), 1;
}
