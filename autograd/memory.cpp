#include "autograd/memory.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

namespace autograd::detail {
namespace {

// Classes: multiples of 32 bytes up to 512, then a line of 64 bytes, which is a header's, and 16
// steps for each doubling. So 2^n bytes of elements fit exactly, and others waste a sixteenth at
// most (or less than a line).
constexpr std::size_t kGrain = 32, kSmall = 16, kLine = 64, kSteps = 16;
constexpr std::size_t kFirstLog = 8, kLastLog = 29;  // 2^8 < kGrain * kSmall - kLine
constexpr std::size_t kClasses = kSmall + 1 + kSteps * (kLastLog - kFirstLog);
// What a thread keeps at most; beyond it blocks go back to the system at once.
constexpr std::size_t kKeepBytes = std::size_t{1} << kLastLog;
// What it keeps at most of small blocks that others took: one thread may make what another drops.
constexpr std::int64_t kKeepForeign = std::int64_t{1} << 20;

struct SizeClass {
  std::size_t index, bytes;
};

bool is_small(std::size_t bytes) { return bytes <= kGrain * kSmall; }
SizeClass classify_small(std::size_t bytes) {
  const std::size_t i = std::max<std::size_t>((bytes + kGrain - 1) / kGrain, 1);
  return {i, i * kGrain};
}
SizeClass classify_large(std::size_t bytes) {
  const std::size_t last = bytes - kLine - 1;
  const auto log = static_cast<std::size_t>(std::bit_width(last)) - 1;  // 2^log <= last
  const std::size_t power = std::size_t{1} << log;
  const auto step_log =
      std::max(log - std::countr_zero(kSteps), std::size_t{std::countr_zero(kLine)});
  const std::size_t k = (last - power) >> step_log;
  return {kSmall + 1 + (log - kFirstLog) * kSteps + k, kLine + power + ((k + 1) << step_log)};
}

struct Block {
  Block* next;
};

#if defined(__SANITIZE_ADDRESS__)
#define XGRAD_POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define XGRAD_POOLED 0
#endif
#endif
#ifndef XGRAD_POOLED
#define XGRAD_POOLED 1  // 0 lets a sanitizer see each lifetime
#endif
constexpr bool kPooled = XGRAD_POOLED;

// Small blocks of threads that have ended or that were given blocks of other threads, for threads
// that need some.
struct Orphans {
  std::mutex mutex;
  Block* free[kSmall + 1] = {};
};
Orphans& orphans() {
  static auto* instance = new Orphans;  // never destroyed: static tensors may die later
  return *instance;
}

// Trivially destructible, so that tensors that outlive it in static storage find it in a valid
// state.
struct Pool {
  Block* free[kClasses];
  std::size_t kept;
  std::int64_t peak, below_peak;  // below_peak: of what is in use; one counter is one instruction
  std::int64_t small_in_use;      // of small blocks; below 0 if it gives back those of others
  bool closed;

  std::int64_t in_use() const { return peak - below_peak; }
  void count_allocation(std::size_t bytes) {
    below_peak -= static_cast<std::int64_t>(bytes);
    if (below_peak < 0) [[unlikely]]
      peak -= std::exchange(below_peak, 0);
  }
  void count_deallocation(std::size_t bytes) { below_peak += static_cast<std::int64_t>(bytes); }
  void count_small_allocation(std::size_t bytes) {
    small_in_use += static_cast<std::int64_t>(bytes);
    count_allocation(bytes);
  }
};
thread_local Pool pool{};

// Makes this thread's free small blocks of one class orphans.
[[gnu::noinline]] void hand_over(SizeClass c) noexcept {
  Block* first = std::exchange(pool.free[c.index], nullptr);
  if (!first) return;
  std::size_t count = 1;
  Block* last = first;
  for (; last->next; last = last->next) ++count;
  pool.small_in_use += static_cast<std::int64_t>(count * c.bytes);
  Orphans& o = orphans();
  const std::lock_guard lock(o.mutex);
  last->next = std::exchange(o.free[c.index], first);
}

struct PoolCloser {
  bool armed = false;
  ~PoolCloser() {
    release_kept_memory();
    pool.closed = true;
    for (std::size_t i = 0; i <= kSmall; ++i) hand_over({i, i * kGrain});
  }
};
thread_local PoolCloser closer;

void* from_system(std::size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  void* p = std::aligned_alloc(64, bytes);
  if (!p) {
    release_kept_memory();
    p = std::aligned_alloc(64, bytes);
    if (!p) throw std::bad_alloc();
  }
  return p;
}

// Small blocks are cut from slabs, which stay with the program: malloc would spend more on each
// than an operation costs.
[[gnu::noinline]] void* refill(SizeClass c) {
  Block* first = nullptr;
  if (!kPooled) {
    first = ::new (from_system(c.bytes)) Block{};
  } else {
    closer.armed = true;  // the first use on a thread registers the clean-up at its end
    Orphans& o = orphans();
    const std::lock_guard lock(o.mutex);
    first = std::exchange(o.free[c.index], nullptr);
  }
  if (!first) {
    constexpr std::size_t slab = std::size_t{64} << 10;
    auto* p = static_cast<char*>(from_system(slab));
    for (std::size_t at = slab / c.bytes * c.bytes; at > 0;) {
      at -= c.bytes;
      first = ::new (p + at) Block{first};
    }
  }
  pool.free[c.index] = first->next;
  pool.count_small_allocation(c.bytes);
  return first;
}

[[gnu::noinline]] void* allocate_large(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  const SizeClass c = classify_large(bytes);
  void* block = c.index < kClasses ? pool.free[c.index] : nullptr;
  if (block) {
    pool.free[c.index] = pool.free[c.index]->next;
    pool.kept -= c.bytes;
  } else {
    block = from_system(c.bytes);
  }
  pool.count_allocation(c.bytes);
  return block;
}

[[gnu::noinline]] void deallocate_large(void* block, std::size_t bytes) noexcept {
  const SizeClass c = classify_large(bytes);
  pool.count_deallocation(c.bytes);
  if (!kPooled || pool.closed || c.index >= kClasses || pool.kept + c.bytes > kKeepBytes)
    return std::free(block);
  closer.armed = true;
  auto* b = static_cast<Block*>(block);
  b->next = std::exchange(pool.free[c.index], b);
  pool.kept += c.bytes;
}

}  // namespace

// The rare paths are functions of their own, and are called last: the frequent ones save no
// registers.
void* pool_allocate(std::size_t bytes) {
  if (!is_small(bytes)) return allocate_large(bytes);
  const SizeClass c = classify_small(bytes);
  Block* b = pool.free[c.index];
  if (!b) [[unlikely]]
    return refill(c);
  pool.free[c.index] = b->next;
  pool.count_small_allocation(c.bytes);
  return b;
}

void pool_deallocate(void* block, std::size_t bytes) noexcept {
  if (!is_small(bytes)) return deallocate_large(block, bytes);
  const SizeClass c = classify_small(bytes);
  pool.count_deallocation(c.bytes);
  pool.small_in_use -= static_cast<std::int64_t>(c.bytes);
  if (!kPooled) return std::free(block);
  auto* b = static_cast<Block*>(block);
  b->next = std::exchange(pool.free[c.index], b);
  if (pool.small_in_use < -kKeepForeign || pool.closed) [[unlikely]]
    hand_over(c);
}

}  // namespace autograd::detail

namespace autograd {

MemoryStats memory_stats() noexcept {
  const auto& p = detail::pool;
  return {p.in_use(), p.peak, static_cast<std::int64_t>(p.kept)};
}
void reset_peak_memory() noexcept {
  detail::pool.peak -= std::exchange(detail::pool.below_peak, 0);
}
void release_kept_memory() noexcept {
  for (std::size_t i = detail::kSmall + 1; i < detail::kClasses; ++i)
    while (detail::Block* b = detail::pool.free[i]) {
      detail::pool.free[i] = b->next;
      std::free(b);
    }
  detail::pool.kept = 0;
}

}  // namespace autograd
