#include "autograd/core/cpu.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string_view>
#include <vector>

#include "autograd/core/errors.hpp"

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

// More are a mistake, and OpenMP's own memory for a team grows with its square.
constexpr int kMostThreads = 1024;

// What OpenMP keeps ready for this thread: of the `asked` threads of its last region, this one
// included, there were `size`.
struct Team {
  int asked = 1, size = 1;
};
thread_local Team team;

// How many of n threads can be started now.
int startable(int n) {
  std::vector<pthread_t> started;
  started.reserve(static_cast<std::size_t>(n));
  {
    std::mutex gate;  // all of them live at once
    const auto pass = [](void* at) -> void* {
      const std::lock_guard wait(*static_cast<std::mutex*>(at));
      return nullptr;
    };
    std::unique_lock closed(gate);
    for (pthread_t t; n > 0 && pthread_create(&t, nullptr, pass, &gate) == 0; --n)
      started.push_back(t);
    closed.unlock();
    for (const pthread_t t : started) pthread_join(t, nullptr);
  }
  return static_cast<int>(started.size());
}

// How many threads a region of n gets. OpenMP ends the process where it cannot start a thread, so
// it is asked for no more than could be started a moment before.
int team_of(int n) {
  if (n == team.asked) return team.size;
  const int ready = std::min(n, team.size);
  team = {n, ready + (n > ready ? startable(n - ready) : 0)};
  return team.size;
}

// The helpers of the thread that forks do not exist in the child: it starts without any.
void before_fork() {
  omp_pause_resource_all(omp_pause_soft);
  team = {};
}

}  // namespace

SimdLevel simd_level() {
  static const SimdLevel level = limited();
  return level;
}

void set_num_threads(int n) {
  if (n < 1 || n > kMostThreads)
    fail("set_num_threads", "needs 1 to {} threads, got {}", kMostThreads, n);
  if (n > 1) {
    static const int registered = pthread_atfork(before_fork, nullptr, nullptr);
    static_cast<void>(registered);
  }
  threads.store(n, std::memory_order_relaxed);
}

int num_threads() { return threads.load(std::memory_order_relaxed); }

int detail::pieces(std::int64_t n, std::int64_t grain, double cost) {
  if (num_threads() == 1 || omp_in_parallel()) return 1;
  const std::int64_t grains = n / grain;
  return static_cast<int>(
      std::min({static_cast<double>(num_threads()), static_cast<double>(n) * cost / kWorth,
                static_cast<double>(grains)}));
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
  const int threads_now = team_of(num_threads());
#pragma omp parallel for num_threads(threads_now) schedule(static, 1)
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
