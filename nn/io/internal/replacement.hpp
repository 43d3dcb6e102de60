#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace nn::detail {

/// A new file that takes the place of `path` at `commit()`, or else vanishes: written beside it,
/// synced, then renamed. Throws, and leaves an older file as it is, wherever the system refuses; where
/// it refuses only to sync the directory, the new file is there.
class Replacement {
 public:
  explicit Replacement(const std::string& path);
  ~Replacement() { discard(); }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// What is written next goes to this place, counted from the start.
  void seek(std::uint64_t place);
  void commit();

 private:
  void discard() noexcept;
  [[noreturn]] void failed(std::string_view what);

  const std::string path_;
  std::filesystem::path target_, temporary_;
  int fd_ = -1;
};

}  // namespace nn::detail
