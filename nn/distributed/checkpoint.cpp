#include "nn/distributed/checkpoint.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>

#include "nn/distributed/internal/failure.hpp"
#include "nn/io/safetensors.hpp"
#include "nn/module/fingerprint.hpp"

namespace nn::distributed {
namespace {

// The line that a rank says when it is told to end, as mpirun does to those that are left. A handler
// of signals may only write what is there.
char line[512];
std::atomic<std::size_t> line_size{0};

extern "C" void say_and_end(int signal) {
  for (std::size_t at = 0, n = line_size; at < n;) {
    const auto wrote = write(STDERR_FILENO, line + at, n - at);
    if (wrote <= 0) break;
    at += static_cast<std::size_t>(wrote);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

// Unless the program has a handler of its own.
void say_at_the_end(const World& world, const std::string& path) {
  if (world.size() == 1) return;
  std::string text = fmt::format("{}: told to end; the last checkpoint is {}\n", world.str(), path);
  if (text.size() > sizeof line) text = text.substr(0, sizeof line - 1) + '\n';
  line_size = 0;
  std::copy(text.begin(), text.end(), line);
  line_size = text.size();
  struct sigaction now {};
  if (sigaction(SIGTERM, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
    std::signal(SIGTERM, say_and_end);
}

}  // namespace

Checkpoint::Checkpoint(DataParallel& parallel, std::initializer_list<Part> parts)
    : nn::Checkpoint(parts), world_(parallel.world()) {
  add({"data_parallel", parallel});
}

Checkpoint::~Checkpoint() {
  if (!writing_.valid()) return;
  try {
    writing_.get();
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", world_.str(), e.what());
  }
}

void Checkpoint::save(const std::string& path) {
  wait();
  std::exception_ptr failure;
  try {
    Contents now = contents();
    if (world_.rank() == 0) {
      for (auto& entry : now.tensors) entry.tensor = entry.tensor.detach().clone();
      writing_ = std::async(std::launch::async, [path, now = std::move(now)] {
        write_safetensors(path, now.tensors, now.metadata);
      });
    }
  } catch (...) {
    failure = std::current_exception();
  }
  detail::share_failure(world_, "give its part of a checkpoint", failure);
  begun_ = path;
}

void Checkpoint::wait() {
  if (begun_.empty()) return;
  std::exception_ptr failure;
  try {
    if (writing_.valid()) writing_.get();
  } catch (...) {
    failure = std::current_exception();
  }
  const std::string path = std::exchange(begun_, {});
  detail::share_failure(world_, "have written its part of a checkpoint", failure);
  say_at_the_end(world_, path);
}

void Checkpoint::load(const std::string& path) {
  wait();
  std::exception_ptr failure;
  try {
    nn::Checkpoint::load(path);
  } catch (...) {
    failure = std::current_exception();
  }
  detail::share_failure(world_, "read the checkpoint", failure);
  world_.check_same("the position of a checkpoint",
                    fingerprint(StateDict{{"position", ag::tensor({epoch, step})}}));
}

}  // namespace nn::distributed
