#include "nn/io/internal/replacement.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "autograd/core/errors.hpp"
#include "nn/io/files.hpp"

namespace nn::detail {

namespace ag = autograd;
namespace fs = std::filesystem;

Replacement::Replacement(const std::string& path) : path_(path), target_(target_of(path)) {
  struct stat old {};
  const bool exists = stat(target_.c_str(), &old) == 0;
  if (!exists && errno == ENAMETOOLONG) failed("look for it");  // or it would fail at the end
  if (exists && !S_ISREG(old.st_mode))
    ag::fail(path, "must be a regular file, got {}", kind_of(old.st_mode));
  // To rename over it needs no permission of its own; who took that away wants it to stay. The
  // superuser may write everywhere, so the mode counts as well.
  if (exists && ((old.st_mode & 0222) == 0 || access(target_.c_str(), W_OK) != 0))
    ag::fail(path, "must be writable, got a read-only file; allow writing, or save elsewhere");
  remove_dead_writers(path);
  fd_ = create_beside(target_, temporary_);
  if (fd_ < 0) {
    temporary_.clear();
    failed("create a file beside it");
  }
  if (exists && fchmod(fd_, old.st_mode & 07777) != 0) failed("set its mode");
}

void Replacement::write(const void* data, std::size_t bytes) {
  auto* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(fd_, p, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) failed("write");
    p += n;
    bytes -= static_cast<std::size_t>(n);
  }
}

void Replacement::seek(std::uint64_t place) {
  if (lseek(fd_, static_cast<off_t>(place), SEEK_SET) < 0) failed("seek");
}

void Replacement::commit() {
  if (fsync(fd_) != 0) failed("sync");
  // Open until it has its name: the lock goes with the descriptor.
  if (rename(temporary_.c_str(), target_.c_str()) != 0) failed("rename");
  temporary_.clear();
  close(std::exchange(fd_, -1));
  // The new name survives a power cut only once the directory is on disk too.
  const fs::path directory = target_.has_parent_path() ? target_.parent_path() : fs::path(".");
  const int dir = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return;  // a directory may be writable but not readable
  const int error = fsync(dir) == 0 ? 0 : errno;
  close(dir);
  if (error != 0 && error != EINVAL)  // some file systems sync no directories
    ag::fail(path_,
             "its directory must be written to the disk, got '{}'; the file is complete, but its "
             "name may be lost with the power",
             std::strerror(error));
}

void Replacement::discard() noexcept {
  if (!temporary_.empty()) unlink(temporary_.c_str());
  temporary_.clear();
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

void Replacement::failed(std::string_view what) {
  const std::string reason = std::strerror(errno);
  discard();
  ag::fail(path_, "the file must be writable, got '{}' on trying to {}; an older one is unchanged",
           reason, what);
}

}  // namespace nn::detail
