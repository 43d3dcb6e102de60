#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

/// Where scratch files go: into memory where that has room, because what is saved is synced, for
/// which a disk takes longer than the tests themselves.
inline std::filesystem::path scratch_place() {
  std::error_code absent;
  const auto memory = std::filesystem::space("/dev/shm", absent);
  const bool roomy = !absent && memory.available > (std::uintmax_t{1} << 30);
  if (roomy && access("/dev/shm", W_OK) == 0 && !std::getenv("TMPDIR")) return "/dev/shm";
  return std::filesystem::temp_directory_path();
}

/// A directory of its own for a test, removed at its end.
class Scratch {
 public:
  Scratch() {
    std::string name = (scratch_place() / "xgrad-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary directory");
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string operator/(const std::string& name) const { return path_ + '/' + name; }
  const std::string& path() const { return path_; }
  /// The number of entries, hidden ones included.
  std::ptrdiff_t entries() const {
    return std::distance(std::filesystem::directory_iterator(path_), {});
  }

 private:
  std::string path_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
