#pragma once

#include <omp.h>

#include "autograd/core/internal/fork.hpp"

namespace autograd::kernels {

/// While it lives, the calling thread asks an OpenMP for one thread.
class OneThread {
 public:
  OneThread(int (*max_threads)(), void (*set_threads)(int n))
      : set_threads_(set_threads), before_(max_threads()) {
    if (before_ > 1) set_threads_(1);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  ~OneThread() {
    if (before_ > 1) set_threads_(before_);
  }

 private:
  void (*set_threads_)(int n);
  int before_;
};

/// While at least one lives, on any thread, an OpenBLAS that has threads of its own uses one. Its
/// number of them is one for the whole process; the last one alive gives it back.
class BlasOnOneThread {
 public:
  BlasOnOneThread() noexcept;
  BlasOnOneThread(const BlasOnOneThread&) = delete;
  BlasOnOneThread& operator=(const BlasOnOneThread&) = delete;
  ~BlasOnOneThread();
};

/// The BLAS is an OpenBLAS that takes all threads that OpenMP offers, whatever was set for it.
bool blas_follows_openmp() noexcept;

/// The BLAS or LAPACK function F, on one thread: its own would compete with ours, and change the
/// rounding.
template <auto* F>
struct SingleThreaded {
  template <class... A>
  void operator()(A... arguments) const {
    const detail::NoFork call;
    if (blas_follows_openmp()) {
      const OneThread one(omp_get_max_threads, omp_set_num_threads);
      return F(arguments...);
    }
    const BlasOnOneThread one;
    F(arguments...);
  }
};

}  // namespace autograd::kernels
