#include "tests/nn/training/allocations.hpp"

#include <cerrno>
#include <cstdlib>
#include <limits>

#include "tests/sanitizers.hpp"

#if defined(__GLIBC__) && !XGRAD_UNDER_ASAN && !XGRAD_UNDER_TSAN
#define COUNTED 1
#else
#define COUNTED 0
#endif

namespace {

thread_local constinit std::size_t count = 0, largest = 0;
thread_local constinit std::size_t limit = std::numeric_limits<std::size_t>::max();

// False if the block is to be refused.
[[maybe_unused]] bool note(std::size_t size) {
  ++count;
  if (size > largest) largest = size;
  if (size > limit) errno = ENOMEM;
  return size <= limit;
}

}  // namespace

std::optional<std::size_t> allocations_of(const std::function<void()>& run) {
  const std::size_t before = count;
  run();
  return COUNTED ? std::optional(count - before) : std::nullopt;
}

std::optional<std::size_t> largest_allocation_of(const std::function<void()>& run) {
  largest = 0;
  run();
  return COUNTED ? std::optional(largest) : std::nullopt;
}

bool with_blocks_up_to(std::size_t bytes, const std::function<void()>& run) {
  if (!COUNTED) return false;
  limit = bytes;
  try {
    run();
  } catch (...) {
    limit = std::numeric_limits<std::size_t>::max();
    throw;
  }
  limit = std::numeric_limits<std::size_t>::max();
  return true;
}

#if COUNTED

// The program's own malloc comes before that of the C library, for the shared libraries too.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* p, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept { return note(size) ? __libc_malloc(size) : nullptr; }
void* calloc(std::size_t n, std::size_t size) noexcept {
  return note(n * size) ? __libc_calloc(n, size) : nullptr;
}
void* realloc(void* p, std::size_t size) noexcept {
  return note(size) ? __libc_realloc(p, size) : nullptr;
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return note(size) ? __libc_memalign(alignment, size) : nullptr;
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return note(size) ? __libc_memalign(alignment, size) : nullptr;
}
int posix_memalign(void** p, std::size_t alignment, std::size_t size) noexcept {
  *p = !note(size) ? nullptr : __libc_memalign(alignment, size);
  return *p ? 0 : ENOMEM;
}

}  // extern "C"

#endif
