#include "autograd/core/memory.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include "autograd/core/internal/fork.hpp"

namespace autograd::detail {
namespace {

// What a thread keeps at most; beyond it blocks go back to the system at once.
constexpr std::size_t kKeepBytes = std::size_t{1} << Pool::kLastLog;

struct SizeClass {
  std::size_t index, bytes;
};

SizeClass classify_large(std::size_t bytes) {
  constexpr std::size_t line = Pool::kLine, steps = Pool::kSteps;
  const std::size_t last = bytes - line - 1;
  const auto log = static_cast<std::size_t>(std::bit_width(last)) - 1;  // 2^log <= last
  const std::size_t power = std::size_t{1} << log;
  const auto step_log =
      std::max(log - std::countr_zero(steps), std::size_t{std::countr_zero(line)});
  const std::size_t k = (last - power) >> step_log;
  return {Pool::kSmall + 1 + (log - Pool::kFirstLog) * steps + k,
          line + power + ((k + 1) << step_log)};
}

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

// XGRAD_POOL=off: each block comes from malloc and goes back to it, for tools that follow them.
bool pooled() noexcept {
  static const bool on = [] {
    const char* said = std::getenv("XGRAD_POOL");
    return XGRAD_POOLED && !(said && std::strcmp(said, "off") == 0);
  }();
  return on;
}

// Of a closed pool. Nothing is taken from lists that are empty, and nothing is put there.
constexpr Pool::Block* kEmpty[Pool::kClasses] = {};
constexpr std::int64_t kClosed = std::numeric_limits<std::int64_t>::max();

}  // namespace

// Closed until the thread has a use for it: without pooling it stays so.
constinit thread_local Pool pool{.small_in_use = 0,
                                 .hand_over_at = kClosed,
                                 .free = const_cast<Pool::Block**>(kEmpty),
                                 .kept = 0,
                                 .peak = 0,
                                 .below_peak = 0,
                                 .ended = false};

namespace {

using Block = Pool::Block;

// Small blocks of threads that have ended or that were given blocks of other threads, for threads
// that need some.
struct Orphans {
  ForkMutex mutex;
  Block* free[Pool::kSmall + 1] = {};
};
Orphans& orphans() {
  static auto* instance = new Orphans;  // never destroyed: static tensors may die later
  return *instance;
}

// Makes a list of blocks of one class orphans, and says how many bytes they are.
std::int64_t abandon(Block* first, std::size_t small_class) {
  if (!first) return 0;
  std::size_t count = 1;
  Block* last = first;
  for (; last->next; last = last->next) ++count;
  Orphans& o = orphans();
  const std::lock_guard lock(o.mutex);
  last->next = std::exchange(o.free[small_class], first);
  return static_cast<std::int64_t>(count * small_class * Pool::kGrain);
}

struct PoolCloser {
  bool armed = false;
  ~PoolCloser() {
    release_kept_memory();
    for (std::size_t i = 0; i <= Pool::kSmall; ++i) pool.small_in_use += abandon(pool.free[i], i);
    std::free(std::exchange(pool.free, const_cast<Block**>(kEmpty)));
    pool.hand_over_at = kClosed;
    pool.ended = true;
  }
};
thread_local PoolCloser closer;

// Whether this thread may keep blocks; the first time it gets the lists for them.
bool open() {
  if (!pool.closed()) return true;
  if (pool.ended || !pooled()) return false;
  auto* lists = static_cast<Block**>(std::calloc(Pool::kClasses, sizeof(Block*)));
  if (!lists) return false;
  closer.armed = true;  // registers the clean-up at the end of the thread
  pool.free = lists;
  pool.hand_over_at = -Pool::kKeepForeign;
  return true;
}

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

}  // namespace

// For a block that does not simply join the others of its class: the first one that this thread
// gives back, or one too many. Those become orphans.
void pool_hand_over(void* block, std::size_t small_class) noexcept {
  if (!pooled()) return std::free(block);
  auto* b = ::new (block) Block{};
  if (!pool.closed()) {
    b->next = std::exchange(pool.free[small_class], nullptr);
  } else if (open()) {
    pool.free[small_class] = b;
    return;
  }
  pool.small_in_use += abandon(b, small_class);
}

namespace {

constexpr std::size_t kSlab = std::size_t{64} << 10;

// At most a slab of what other threads have left: whoever took all would leave those that begin
// with it to cut new ones, and the memory would grow with each generation of threads.
Block* adopt(std::size_t small_class) {
  Orphans& o = orphans();
  const std::lock_guard lock(o.mutex);
  Block* const first = o.free[small_class];
  Block* last = first;
  if (!first) return nullptr;
  for (std::size_t n = kSlab / (small_class * Pool::kGrain); n > 1 && last->next; --n)
    last = last->next;
  o.free[small_class] = std::exchange(last->next, nullptr);
  return first;
}

}  // namespace

// Small blocks are cut from slabs, which stay with the program: malloc would spend more on each
// than an operation costs.
void* pool_refill(std::size_t small_class) {
  const std::size_t bytes = small_class * Pool::kGrain;
  Block* first = nullptr;
  if (!pooled()) {
    first = ::new (from_system(bytes)) Block{};
  } else {
    first = adopt(small_class);
  }
  if (!first) {
    auto* p = static_cast<char*>(from_system(kSlab));
    for (std::size_t at = kSlab / bytes * bytes; at > 0;) {
      at -= bytes;
      first = ::new (p + at) Block{first};
    }
  }
  if (open())
    pool.free[small_class] = first->next;
  else
    abandon(first->next, small_class);
  pool.count_small_allocation(bytes);
  return first;
}

void* pool_allocate_large(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() / 4) throw std::bad_alloc();
  const SizeClass c = classify_large(bytes);
  void* block = c.index < Pool::kClasses ? pool.free[c.index] : nullptr;
  if (block) {
    pool.free[c.index] = pool.free[c.index]->next;
    pool.kept -= c.bytes;
  } else {
    block = from_system(c.bytes);
  }
  pool.count_allocation(c.bytes);
  return block;
}

void pool_deallocate_large(void* block, std::size_t bytes) noexcept {
  const SizeClass c = classify_large(bytes);
  pool.count_deallocation(c.bytes);
  if (c.index >= Pool::kClasses || pool.kept + c.bytes > kKeepBytes || !open())
    return std::free(block);
  auto* b = static_cast<Block*>(block);
  b->next = std::exchange(pool.free[c.index], b);
  pool.kept += c.bytes;
}

}  // namespace autograd::detail

namespace autograd {

MemoryStats memory_stats() noexcept {
  const auto& p = detail::pool;
  return {p.peak - p.below_peak, p.peak, static_cast<std::int64_t>(p.kept)};
}
void reset_peak_memory() noexcept {
  detail::pool.peak -= std::exchange(detail::pool.below_peak, 0);
}
void release_kept_memory() noexcept {
  using detail::Pool;
  for (std::size_t i = Pool::kSmall + 1; i < Pool::kClasses; ++i)
    while (Pool::Block* b = detail::pool.free[i]) {
      detail::pool.free[i] = b->next;
      std::free(b);
    }
  detail::pool.kept = 0;
}

}  // namespace autograd
