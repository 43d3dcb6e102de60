#include "tests/fire/failing_malloc.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>

extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT: glibc's own names
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT
void* __libc_realloc(void*, std::size_t);         // NOLINT
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT
void __libc_free(void*);                          // NOLINT
}

namespace fire {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

std::atomic<std::int64_t> first{kNever}, last{kNever}, count{0}, live{0};
std::atomic<bool> failed{false};
void* place[48];
int place_size = 0;

struct Range {
  std::uintptr_t begin = 0, end = 0;
  bool holds(const void* p) const {
    const auto at = reinterpret_cast<std::uintptr_t>(p);
    return begin <= at && at < end;
  }
};

// The code of a library.
Range code_of(const char* name) {
  struct Search {
    const char* name;
    Range found;
  } search{name, {}};
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        auto& s = *static_cast<Search*>(data);
        if (!std::strstr(info->dlpi_name, s.name)) return 0;
        for (int i = 0; i < info->dlpi_phnum; ++i)
          if (const auto& p = info->dlpi_phdr[i]; p.p_type == PT_LOAD && (p.p_flags & PF_X)) {
            const auto begin = static_cast<std::uintptr_t>(info->dlpi_addr + p.p_vaddr);
            s.found = {begin, begin + p.p_memsz};
          }
        return 1;
      },
      &search);
  return search.found;
}

// The code of glibc that notes what the end of a thread destroys.
Range thread_exit() {
  const auto begin =
      reinterpret_cast<std::uintptr_t>(dlsym(RTLD_DEFAULT, "__cxa_thread_atexit_impl"));
  return {begin, begin + 128};
}
Range of_libgomp, of_libomp, of_thread_exit;
Range leaky[3];
bool in_leaky = false;

bool fails(const void* caller) {
  if (first.load(std::memory_order_relaxed) == kNever || of_libgomp.holds(caller) ||
      of_libomp.holds(caller) || of_thread_exit.holds(caller))
    return false;
  const std::int64_t n = count.fetch_add(1);
  if (n < first || n > last) return false;
  if (!failed.exchange(true)) {
    place_size = backtrace(place, std::size(place));
    // This function, malloc and operator new come first, or less.
    for (int i = 0; i < std::min(place_size, 5); ++i)
      for (const Range& range : leaky) in_leaky |= range.holds(place[i]);
  }
  errno = ENOMEM;
  return true;
}

void* counted(void* block) {
  if (block) live.fetch_add(1, std::memory_order_relaxed);
  return block;
}

}  // namespace

void fail_at(std::int64_t n, Fails how) {
  static const bool prepared = [] {
    void* here[4];
    backtrace(here, 4);  // loads what it needs
    of_libgomp = code_of("libgomp"), of_libomp = code_of("libomp");
    of_thread_exit = thread_exit();
    leaky[0] = code_of("libzip"), leaky[1] = code_of("libprotobuf"),
    leaky[2] = code_of("libonnx_proto");
    return true;
  }();
  static_cast<void>(prepared);
  count = 0;
  failed = false;
  in_leaky = false;
  last = how == Fails::from_then_on ? kNever - 1 : n + (how == Fails::twice);
  first = n;
}
bool stop_failing() {
  first = kNever;
  return failed;
}
std::int64_t allocations() { return count; }
std::int64_t live_blocks() { return live; }
bool failed_in_leaky_library() { return in_leaky; }
void print_place() { backtrace_symbols_fd(place, place_size, 2); }

}  // namespace fire

extern "C" {

#define FAILS() fire::fails(__builtin_return_address(0))

void* malloc(std::size_t n) { return FAILS() ? nullptr : fire::counted(__libc_malloc(n)); }
void* calloc(std::size_t n, std::size_t size) {
  return FAILS() ? nullptr : fire::counted(__libc_calloc(n, size));
}
void* memalign(std::size_t alignment, std::size_t n) {
  return FAILS() ? nullptr : fire::counted(__libc_memalign(alignment, n));
}
void* aligned_alloc(std::size_t alignment, std::size_t n) {
  return FAILS() ? nullptr : fire::counted(__libc_memalign(alignment, n));
}
int posix_memalign(void** block, std::size_t alignment, std::size_t n) {
  if (FAILS()) return ENOMEM;
  *block = fire::counted(__libc_memalign(alignment, n));
  return *block ? 0 : ENOMEM;
}
void* realloc(void* block, std::size_t n) {
  if (FAILS()) return nullptr;
  void* const moved = __libc_realloc(block, n);
  if (!block) return fire::counted(moved);
  if (n == 0) fire::live.fetch_sub(1, std::memory_order_relaxed);
  return moved;
}
void free(void* block) {
  if (block) fire::live.fetch_sub(1, std::memory_order_relaxed);
  __libc_free(block);
}
}
