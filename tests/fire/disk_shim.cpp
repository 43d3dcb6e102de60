// Loaded before a program: of its calls about files in FIRE_DIR, the N-th (from 0) fails as
// FIRE_DISK="CALL N ERRNO" says; CALL is write, fsync, rename or open (of a new file). With ERRNO 0 the
// N-th write takes half, and the disk is full from then on.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

template <class F>
F next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

struct Plan {
  std::string call, directory;
  long n = -1;
  int error = 0;
  Plan() {
    const char* const said = std::getenv("FIRE_DISK");
    const char* const where = std::getenv("FIRE_DIR");
    char word[16] = "";
    if (!said || !where || std::sscanf(said, "%15s %ld %d", word, &n, &error) != 3) return;
    call = word, directory = where;
  }
};

// 0: goes through; above: fails with this; below: takes half.
int verdict(const char* call, const std::string& path) {
  static const Plan plan;
  static std::atomic<long> seen{0};
  if (plan.call != call || !path.starts_with(plan.directory)) return 0;
  const long at = seen.fetch_add(1);
  if (plan.error == 0 && at > plan.n) return ENOSPC;
  if (at != plan.n) return 0;
  return plan.error == 0 ? -1 : plan.error;
}

std::string path_of(int fd) {
  char link[32], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path);
  return {path, static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* data, size_t bytes) {
  const int v = verdict("write", path_of(fd));
  if (v > 0) return errno = v, -1;
  return next<ssize_t (*)(int, const void*, std::size_t)>("write")(fd, data,
                                                                   v < 0 ? bytes / 2 : bytes);
}

int fsync(int fd) {
  if (const int v = verdict("fsync", path_of(fd)); v > 0) return errno = v, -1;
  return next<int (*)(int)>("fsync")(fd);
}

int rename(const char* from, const char* to) noexcept {
  if (const int v = verdict("rename", from); v > 0) return errno = v, -1;
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list list;
    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
    if (const int v = verdict("open", path); v > 0) return errno = v, -1;
  }
  return next<int (*)(const char*, int, ...)>("open")(path, flags, mode);
}
}
