#include "autograd/memory.hpp"

#include <bit>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

namespace autograd::detail {
namespace {

// Classes: multiples of 32 bytes up to 512, then eight steps for each doubling, so that a block is
// at most an eighth larger than asked for.
constexpr std::size_t kGrain = 32, kSmall = 16, kSteps = 8;
constexpr std::size_t kSmallLog = 9;  // 2^9 = kGrain * kSmall
constexpr std::size_t kClasses = kSmall + 1 + kSteps * 40;
// What a thread keeps at most; beyond it blocks go back to the system at once.
constexpr std::size_t kKeepBytes = std::size_t{512} << 20;

struct SizeClass {
  std::size_t index, bytes;
};

SizeClass classify(std::size_t bytes) {
  if (bytes <= kGrain * kSmall) {
    const std::size_t i = (bytes + kGrain - 1) / kGrain;
    return {i, i * kGrain};
  }
  const auto log = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;  // 2^log <= bytes - 1
  const std::size_t step = (std::size_t{1} << log) / kSteps;
  const std::size_t k = (bytes - 1 - (std::size_t{1} << log)) / step;
  return {kSmall + 1 + (log - kSmallLog) * kSteps + k, (std::size_t{1} << log) + (k + 1) * step};
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

bool is_small(std::size_t index) { return index <= kSmall; }

// Small blocks of threads that have ended, for threads that need some.
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
  bool closed;
};
thread_local Pool pool{};

struct PoolCloser {
  bool armed = false;
  ~PoolCloser() {
    pool_trim();
    pool.closed = true;
    Orphans& o = orphans();
    const std::lock_guard lock(o.mutex);
    for (std::size_t i = 0; i <= kSmall; ++i)
      while (Block* b = pool.free[i]) {
        pool.free[i] = b->next;
        b->next = std::exchange(o.free[i], b);
      }
  }
};
thread_local PoolCloser closer;

void* from_system(std::size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  void* p = std::aligned_alloc(64, bytes);
  if (!p) {
    pool_trim();
    p = std::aligned_alloc(64, bytes);
    if (!p) throw std::bad_alloc();
  }
  return p;
}

// Small blocks are cut from slabs, which stay with the program: malloc would spend more on each
// than an operation costs.
[[gnu::noinline]] void* refill(SizeClass c) {
  closer.armed = true;  // the first use on a thread registers the clean-up at its end
  {
    Orphans& o = orphans();
    const std::lock_guard lock(o.mutex);
    if (Block* b = o.free[c.index]) {
      pool.free[c.index] = b->next;
      o.free[c.index] = nullptr;
      return b;
    }
  }
  constexpr std::size_t slab = std::size_t{64} << 10;
  auto* p = static_cast<char*>(from_system(slab));
  for (std::size_t at = slab / c.bytes * c.bytes; at > c.bytes;) {
    at -= c.bytes;
    auto* b = reinterpret_cast<Block*>(p + at);
    b->next = std::exchange(pool.free[c.index], b);
  }
  return p;
}

}  // namespace

void* pool_allocate(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  const SizeClass c = classify(bytes == 0 ? 1 : bytes);
  if (!kPooled) return from_system(c.bytes);
  if (c.index < kClasses)
    if (Block* b = pool.free[c.index]) {
      pool.free[c.index] = b->next;
      if (!is_small(c.index)) pool.kept -= c.bytes;
      return b;
    }
  return is_small(c.index) ? refill(c) : from_system(c.bytes);
}

void pool_deallocate(void* block, std::size_t bytes) noexcept {
  const SizeClass c = classify(bytes == 0 ? 1 : bytes);
  auto* b = static_cast<Block*>(block);
  if (!kPooled) return std::free(block);
  if (is_small(c.index)) {
    if (!pool.closed) {
      b->next = std::exchange(pool.free[c.index], b);
    } else {
      Orphans& o = orphans();
      const std::lock_guard lock(o.mutex);
      b->next = std::exchange(o.free[c.index], b);
    }
    return;
  }
  if (pool.closed || c.index >= kClasses || pool.kept + c.bytes > kKeepBytes)
    return std::free(block);
  closer.armed = true;
  b->next = std::exchange(pool.free[c.index], b);
  pool.kept += c.bytes;
}

void pool_trim() noexcept {
  for (std::size_t i = kSmall + 1; i < kClasses; ++i)
    while (Block* b = pool.free[i]) {
      pool.free[i] = b->next;
      std::free(b);
    }
  pool.kept = 0;
}

}  // namespace autograd::detail
