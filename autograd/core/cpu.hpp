#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "autograd/core/version.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// Instruction sets that kernels are compiled for.
enum class SimdLevel { baseline, avx2, avx512 };

/// The best level that this CPU and this build have; the environment variable XGRAD_SIMD
/// (baseline, avx2, avx512) lowers it. Throws if the variable holds anything else.
SimdLevel simd_level();

/// Threads that one operation may use, in the whole process; 1 until set, whatever OMP_NUM_THREADS
/// says. Results are the same bits for any number. Operations too small to gain, and those called
/// from a parallel region of the program's own, run on the thread that calls them. Any number of
/// threads may call the library at once; each then has helpers of its own. Helpers spin for a while
/// before they sleep: OMP_WAIT_POLICY=passive suits a busy machine better. Where the system has no
/// room for so many threads, operations use those that it lets start. Formulas of `elementwise` run
/// on several threads then. Throws unless 1 ≤ n ≤ 1024.
void set_num_threads(int n);
/// What was set; operations may use fewer where threads cannot be started.
int num_threads();

namespace detail {
// Nanoseconds of work that are worth a thread: several times what waking one costs.
constexpr double kWorth = 20'000;
// Into how many pieces `parallel_for` cuts; at most one for each thread.
int pieces(std::int64_t n, std::int64_t grain, double cost);
void run_pieces(std::int64_t n, std::int64_t grain, int pieces, void* f,
                void (*call)(void* f, std::int64_t begin, std::int64_t end));
}  // namespace detail

/// Calls f(begin, end) for ranges that together are [0, n), on up to num_threads() threads; each
/// begins at a multiple of `grain`. `cost` is roughly what one index takes, in nanoseconds: too
/// little work is not cut, and f(0, n) then runs here, as it does within another parallel region.
/// f works on raw buffers: recording, random numbers and the other switches of a thread are not
/// carried along. Returns when all is done; of what f throws, one exception comes out.
template <class F>
void parallel_for(std::int64_t n, std::int64_t grain, double cost, F&& f) {
  if (static_cast<double>(n) * cost >= 2 * detail::kWorth)
    if (const int pieces = detail::pieces(n, grain, cost); pieces > 1)
      return detail::run_pieces(n, grain, pieces, std::addressof(f),
                                [](void* g, std::int64_t begin, std::int64_t end) {
                                  (*static_cast<std::remove_reference_t<F>*>(g))(begin, end);
                                });
  if (n > 0) f(std::int64_t{0}, n);
}

}  // namespace autograd

#pragma GCC visibility pop
