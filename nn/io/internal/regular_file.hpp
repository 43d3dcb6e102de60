#pragma once

#include <cstdint>
#include <string>

namespace nn::detail {

/// An open file whose size is known and whose bytes are read from any place. Throws, naming the
/// path, if it is no regular file or cannot be read. Threads may read at once.
class RegularFile {
 public:
  explicit RegularFile(const std::string& path);
  ~RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  int descriptor() const { return fd_; }
  /// Throws unless all `bytes` are there.
  void read(void* target, std::uint64_t bytes, std::uint64_t offset) const;

 private:
  [[noreturn]] void unreadable(const char* reason) const;

  const std::string path_;
  int fd_;
  std::uint64_t size_ = 0;
};

}  // namespace nn::detail
