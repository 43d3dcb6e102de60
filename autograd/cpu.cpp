#include "autograd/cpu.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "autograd/errors.hpp"

namespace autograd {
namespace {

SimdLevel detect() {
#if defined(XGRAD_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return SimdLevel::avx512;
#endif
#if defined(XGRAD_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SimdLevel::avx2;
#endif
  return SimdLevel::baseline;
}

SimdLevel limited() {
  const char* text = std::getenv("XGRAD_SIMD");
  if (!text || !*text) return detect();
  constexpr std::string_view names[] = {"baseline", "avx2", "avx512"};
  const auto* found = std::find(std::begin(names), std::end(names), text);
  if (found == std::end(names))
    fail("XGRAD_SIMD", "the variable must be baseline, avx2 or avx512, got '{}'", quoted(text));
  return std::min(detect(), static_cast<SimdLevel>(found - std::begin(names)));
}

std::atomic<int> threads{1};

// The helpers of the thread that forks do not exist in the child: it starts without any.
void before_fork() { omp_pause_resource_all(omp_pause_soft); }

}  // namespace

SimdLevel simd_level() {
  static const SimdLevel level = limited();
  return level;
}

void set_num_threads(int n) {
  if (n < 1) fail("set_num_threads", "needs at least 1 thread, got {}", n);
  if (n > 1) {
    static const int registered = pthread_atfork(before_fork, nullptr, nullptr);
    static_cast<void>(registered);
  }
  threads.store(n, std::memory_order_relaxed);
}

int num_threads() { return threads.load(std::memory_order_relaxed); }

int detail::pieces(std::int64_t n, std::int64_t grain, double cost) {
  if (num_threads() == 1 || omp_in_parallel()) return 1;
  return static_cast<int>(
      std::min({static_cast<double>(num_threads()), static_cast<double>(n) * cost / kWorth,
                static_cast<double>(n / grain)}));
}

void detail::run_pieces(std::int64_t n, std::int64_t grain, int pieces, void* f,
                        void (*call)(void* f, std::int64_t begin, std::int64_t end)) {
  // Whole grains, the first pieces larger: the last has what is left over.
  const std::int64_t grains = n / grain;
  const auto start = [&](std::int64_t piece) {
    return piece == pieces ? n : (grains * piece + pieces - 1) / pieces * grain;
  };
  std::exception_ptr error;
  // Always the same team: libgomp ends the threads that a smaller one has no use for.
#pragma omp parallel for num_threads(num_threads()) schedule(static, 1)
  for (int piece = 0; piece < pieces; ++piece) {
    try {
      call(f, start(piece), start(piece + 1));
    } catch (...) {
#pragma omp critical(xgrad_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace autograd
