#include "autograd/kernels/one_thread.hpp"

#include <sched.h>

#include <atomic>

// OpenBLAS only; null with another BLAS.
extern "C" {
[[gnu::weak]] int openblas_get_num_threads();
[[gnu::weak]] void openblas_set_num_threads(int n);
[[gnu::weak]] int openblas_get_parallel();
}

namespace autograd::kernels {
namespace {

const bool follows_openmp = [] {
  constexpr int built_with_openmp = 2;
  return openblas_get_parallel && openblas_get_parallel() == built_with_openmp;
}();

// Held for some nanoseconds, so that who waits spins.
std::atomic_flag changing = ATOMIC_FLAG_INIT;
int calls = 0;   // in progress, on all threads
int before = 1;  // the number of threads that the last of them sets, if there were more than one

class Change {
 public:
  Change() noexcept {
    while (changing.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  Change(const Change&) = delete;
  ~Change() { changing.clear(std::memory_order_release); }
};

const bool has_threads = openblas_get_num_threads && openblas_set_num_threads && !follows_openmp;

}  // namespace

bool blas_follows_openmp() noexcept { return follows_openmp; }

BlasOnOneThread::BlasOnOneThread() noexcept {
  if (!has_threads) return;
  const Change change;
  ++calls;
  // More than one: the program has set them, maybe during another call.
  const int now = openblas_get_num_threads();
  if (now == 1) return;
  before = now;
  openblas_set_num_threads(1);
}

BlasOnOneThread::~BlasOnOneThread() {
  if (!has_threads) return;
  const Change change;
  if (--calls > 0 || before == 1) return;
  if (openblas_get_num_threads() == 1) openblas_set_num_threads(before);
  before = 1;
}

}  // namespace autograd::kernels
