#include "nn/io/internal/regular_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "autograd/core/errors.hpp"
#include "nn/io/files.hpp"

namespace nn::detail {

using autograd::fail;

RegularFile::RegularFile(const std::string& path) : path_(path), fd_(open_to_read(path)) {
  if (fd_ < 0) unreadable(std::strerror(errno));
  struct stat info {};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd_);
    fail(path, "must be a regular file, got {}", kind_of(info.st_mode));
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
  remove_dead_writers(path);
}

RegularFile::~RegularFile() { close(fd_); }

void RegularFile::read(void* target, std::uint64_t bytes, std::uint64_t offset) const {
  while (bytes > 0) {
    const ssize_t n = pread(fd_, target, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) unreadable(n < 0 ? std::strerror(errno) : "an early end of the file");
    target = static_cast<char*>(target) + n;
    bytes -= static_cast<std::uint64_t>(n);
    offset += static_cast<std::uint64_t>(n);
  }
}

void RegularFile::unreadable(const char* reason) const {
  fail(path_, "the file must be readable, got: {}", reason);
}

}  // namespace nn::detail
