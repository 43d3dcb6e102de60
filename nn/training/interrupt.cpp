#include "nn/training/interrupt.hpp"

#include <atomic>

#include "autograd/core/errors.hpp"

namespace nn {
namespace {

std::atomic<bool> taken{false};
std::atomic<int> noted{0};
static_assert(std::atomic<int>::is_always_lock_free, "a handler may use nothing else");

void note(int signal) {
  int none = 0;
  noted.compare_exchange_strong(none, signal);
}

}  // namespace

Interrupt::Interrupt() {
  if (taken.exchange(true))
    autograd::fail("Interrupt", "there must be one at a time, got a second");
  noted = 0;
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;  // reading and writing go on
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_interrupt_);
  sigaction(SIGTERM, &action, &old_terminate_);
}

Interrupt::~Interrupt() {
  sigaction(SIGINT, &old_interrupt_, nullptr);
  sigaction(SIGTERM, &old_terminate_, nullptr);
  taken = false;
}

int Interrupt::signal() const noexcept { return noted; }

}  // namespace nn
