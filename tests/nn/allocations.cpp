#include "tests/nn/allocations.hpp"

#include <cerrno>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTED 0
#endif
#endif
#ifndef COUNTED
#if defined(__GLIBC__)
#define COUNTED 1
#else
#define COUNTED 0
#endif
#endif

namespace {

thread_local constinit std::size_t count = 0, largest = 0;

[[maybe_unused]] void note(std::size_t size) {
  ++count;
  if (size > largest) largest = size;
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

#if COUNTED

// The program's own malloc comes before that of the C library, for the shared libraries too.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* p, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  note(size);
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  note(n * size);
  return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t size) noexcept {
  note(size);
  return __libc_realloc(p, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  note(size);
  return __libc_memalign(alignment, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  note(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** p, std::size_t alignment, std::size_t size) noexcept {
  note(size);
  *p = __libc_memalign(alignment, size);
  return *p ? 0 : ENOMEM;
}

}  // extern "C"

#endif
