#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

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

/// A block of at least `bytes` bytes, aligned to 64 (to 32 up to 512 bytes). Freed blocks are kept
/// per thread and per size and handed out again, instead of going back to malloc.
/// Throws std::bad_alloc.
void* pool_allocate(std::size_t bytes);
/// Gives a block back; `bytes` as at its allocation. Any thread may do it.
void pool_deallocate(void* block, std::size_t bytes) noexcept;

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
