#include "nn/io/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string_view>

#include "autograd/core/errors.hpp"
#include "autograd/core/trace.hpp"

namespace nn::detail {
namespace {

namespace fs = std::filesystem;

fs::path directory_of(const fs::path& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

// What the temporary files of one target begin with: its name by a hash (FNV-1a), because the name
// itself may be as long as a name can be.
std::string prefix_of(const fs::path& target) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : target.filename().string())
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format(".xgrad-{:016x}-", hash);
}

// Whether a descriptor is of the file that has this name.
bool is_named(int fd, const fs::path& name) {
  struct stat open {
  }, named{};
  return fstat(fd, &open) == 0 && lstat(name.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

// A lock that we get is one that no living writer holds. Under it no one else can remove the name,
// so that it is still this file's.
void remove_if_dead(const fs::path& name) {
  const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_named(fd, name)) unlink(name.c_str());
  close(fd);
}

}  // namespace

void check_path(const std::string& path) {
  if (path.empty()) autograd::fail("path", "must be the name of a file, got an empty one");
  if (path.find('\0') != path.npos)
    autograd::fail(path, "a path must not hold a zero byte, got one at byte {}", path.find('\0'));
}

int open_to_read(const std::string& path) {
  autograd::detail::refuse_in_trace("a file that is read", "read it outside");
  check_path(path);
  return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return S_ISCHR(mode) || S_ISBLK(mode) ? "a device" : "something else";
}

fs::path target_of(const std::string& path) {
  check_path(path);
  fs::path target = path;
  std::error_code error;
  for (int links = 0; fs::is_symlink(target, error); ++links) {
    if (links == 40)
      autograd::fail(path, "links must lead to a file, got more than 40 of them; is it a circle?");
    target = target.parent_path() / fs::read_symlink(target, error);
  }
  return target;
}

int create_beside(const fs::path& target, fs::path& temporary) {
  static std::atomic<unsigned> count{0};
  for (;;) {
    const std::string name = fmt::format("{}{}-{}.tmp", prefix_of(target), getpid(), count++);
    temporary = target.parent_path() / name;
    const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return -1;
    // Before it was locked, someone may have taken it for a dead one.
    if (flock(fd, LOCK_EX) != 0 || is_named(fd, temporary)) return fd;
    close(fd);
  }
}

// Not by std::filesystem, whose iterator ends the process where memory runs out (libstdc++ 12).
void remove_dead_writers(const std::string& path) noexcept try {
  const fs::path target = target_of(path), directory = directory_of(target);
  const std::string prefix = prefix_of(target);
  const auto close = [](DIR* d) { closedir(d); };
  const std::unique_ptr<DIR, decltype(close)> entries(opendir(directory.c_str()), close);
  if (!entries) return;
  while (const dirent* entry = readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(prefix) && name.ends_with(".tmp")) remove_if_dead(directory / name);
  }
} catch (...) {  // the file itself counts
}

}  // namespace nn::detail
