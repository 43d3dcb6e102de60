#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "autograd/core/version.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// What tensors, gradients and the tape take, in bytes, of one thread.
struct MemoryStats {
  std::int64_t in_use;  ///< in blocks that the thread took and did not give back; what it gives
                        ///< back for another thread is subtracted here, so only the sum over
                        ///< threads counts what lives
  std::int64_t peak;    ///< the largest in_use since the start or `reset_peak_memory()`
  std::int64_t kept;    ///< in blocks of more than 512 bytes that wait to be used again
};
/// Of the calling thread. Memory of the user's (`from_blob`) is not counted.
MemoryStats memory_stats() noexcept;
/// `peak` of this thread begins anew at `in_use`.
void reset_peak_memory() noexcept;
/// Returns what this thread keeps to the system; the next steps allocate it again.
void release_kept_memory() noexcept;

}  // namespace autograd

namespace autograd::detail {

// The pool of a thread. Small blocks are taken and given back in line, since that happens several
// times in each operation; the rest is in memory.cpp.
struct Pool {
  // Small blocks are multiples of kGrain bytes. Beyond kSmall of them: a line of 64 bytes, which is
  // a header's, and 16 steps for each doubling. So 2^n bytes of elements fit exactly, and others
  // waste a sixteenth at most (or less than a line).
  static constexpr std::size_t kGrain = 32, kSmall = 16, kLine = 64, kSteps = 16;
  static constexpr std::size_t kFirstLog = 8, kLastLog = 29;  // 2^8 < kGrain * kSmall - kLine
  static constexpr std::size_t kClasses = kSmall + 1 + kSteps * (kLastLog - kFirstLog);
  // What it keeps at most of small blocks that others took: one thread may make what another drops.
  static constexpr std::int64_t kKeepForeign = std::int64_t{1} << 20;

  struct Block {
    Block* next;
  };
  // The two counters are apart: side by side, compilers make vectors of them, which takes longer.
  std::int64_t small_in_use;  // of small blocks; below 0 if it gives back those of others
  std::int64_t hand_over_at;  // for a smaller small_in_use; if closed, for any
  Block** free;               // by class; while closed, lists that stay empty
  std::size_t kept;
  std::int64_t peak, below_peak;  // below_peak: of what is in use; one counter is one instruction
  bool ended;                     // so that it stays closed

  static bool is_small(std::size_t bytes) { return bytes <= kGrain * kSmall; }
  static std::size_t small_class(std::size_t bytes) {
    return bytes == 0 ? 1 : (bytes + kGrain - 1) / kGrain;
  }
  void count_allocation(std::size_t bytes) {
    below_peak -= static_cast<std::int64_t>(bytes);
    if (below_peak < 0) [[unlikely]]
      peak -= std::exchange(below_peak, 0);
  }
  void count_small_allocation(std::size_t bytes) {
    small_in_use += static_cast<std::int64_t>(bytes);
    count_allocation(bytes);
  }
  void count_deallocation(std::size_t bytes) { below_peak += static_cast<std::int64_t>(bytes); }
  bool closed() const { return hand_over_at > 0; }
};
// Trivially destructible, so that tensors that outlive it in static storage find it in a valid
// state. Small, as is all that the libraries have for each thread: a program that loads them while
// it runs has room for few such variables, and not for these libraries alone.
extern constinit thread_local Pool pool;
void* pool_refill(std::size_t small_class);
void pool_hand_over(void* block, std::size_t small_class) noexcept;
void* pool_allocate_large(std::size_t bytes);
void pool_deallocate_large(void* block, std::size_t bytes) noexcept;

/// A block of at least `bytes` bytes, aligned to 64 (to 32 up to 512 bytes). Freed
/// blocks are kept per thread and per size and handed out again, instead of going back to malloc.
/// Throws std::bad_alloc.
inline void* pool_allocate(std::size_t bytes) {
  if (!Pool::is_small(bytes)) return pool_allocate_large(bytes);
  const std::size_t c = Pool::small_class(bytes);
  Pool::Block* b = pool.free[c];
  if (!b) [[unlikely]]
    return pool_refill(c);
  pool.free[c] = b->next;
  pool.count_small_allocation(c * Pool::kGrain);
  return b;
}
/// Gives a block back; `bytes` as at its allocation. Any thread may do it.
inline void pool_deallocate(void* block, std::size_t bytes) noexcept {
  if (!Pool::is_small(bytes)) return pool_deallocate_large(block, bytes);
  const std::size_t c = Pool::small_class(bytes);
  pool.count_deallocation(c * Pool::kGrain);
  pool.small_in_use -= static_cast<std::int64_t>(c * Pool::kGrain);
  if (pool.small_in_use < pool.hand_over_at) [[unlikely]]
    return pool_hand_over(block, c);
  auto* b = static_cast<Pool::Block*>(block);
  b->next = std::exchange(pool.free[c], b);
}

/// Lets a standard container take its memory from the pool.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) noexcept {}  // NOLINT: as the standard wants it
  T* allocate(std::size_t n) { return static_cast<T*>(pool_allocate(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { pool_deallocate(p, n * sizeof(T)); }
  template <class U>
  bool operator==(const PoolAllocator<U>&) const noexcept {
    return true;
  }
};
/// A shared object that lives in the pool together with its count.
template <class T, class... Args>
std::shared_ptr<T> make_pooled(Args&&... args) {
  return std::allocate_shared<T>(PoolAllocator<std::remove_const_t<T>>(),
                                 std::forward<Args>(args)...);
}
/// A vector whose growing and shrinking costs no call of malloc once the pool has its sizes.
template <class T>
using PooledVector = std::vector<T, PoolAllocator<T>>;

}  // namespace autograd::detail

#pragma GCC visibility pop
