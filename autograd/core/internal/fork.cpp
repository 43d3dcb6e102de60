#include "autograd/core/internal/fork.hpp"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <utility>

namespace autograd::detail {
namespace {

std::atomic<int> calls{0}, forks{0};

void before_fork() {
  while (!ForkMutex::take_all()) sched_yield();
  ++forks;
  while (calls > 0) sched_yield();
}
void in_parent() {
  --forks;
  ForkMutex::give_back();
}
void in_child() {
  forks = 0;  // of other threads too
  ForkMutex::give_back();
}

// After those of the libraries that this one is linked with, so that it is called before them.
[[maybe_unused]] const int registered = pthread_atfork(before_fork, in_parent, in_child);

}  // namespace

constinit std::atomic<ForkMutex*> ForkMutex::newest_{nullptr};
constinit ForkMutex* ForkMutex::taken_ = nullptr;

ForkMutex::ForkMutex() : older_(newest_) {
  while (!newest_.compare_exchange_weak(older_, this)) {
  }
}

// Threads hold some within others, in orders that are theirs.
bool ForkMutex::take_all() {
  ForkMutex* const first = newest_;
  for (ForkMutex* m = first; m; m = m->older_)
    if (!m->try_lock()) {
      for (ForkMutex* back = first; back != m; back = back->older_) back->unlock();
      return false;
    }
  taken_ = first;
  return true;
}
void ForkMutex::give_back() {
  for (ForkMutex* m = std::exchange(taken_, nullptr); m;) {
    ForkMutex* const older = m->older_;
    m->unlock();
    m = older;
  }
}

NoFork::NoFork() noexcept {
  for (;; --calls) {
    while (forks > 0) sched_yield();
    ++calls;
    if (forks == 0) return;
  }
}
NoFork::~NoFork() { --calls; }

}  // namespace autograd::detail
