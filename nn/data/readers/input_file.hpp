#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#pragma GCC visibility push(default)

namespace nn::data {

/// A file read from start to end. One that begins with gzip's magic bytes (RFC 1952) is unpacked on
/// the way, whatever its name. Errors begin with the path. Open until it is destroyed; one thread at
/// a time.
class InputFile {
 public:
  /// Throws if the file is missing, is a directory, a pipe without a writer, or may not be read.
  /// `max_unpacked` is the number of bytes that gzip data may unpack to; by default 256 MiB, or 100
  /// times the packed bytes where that is more. Real data stays below that, a file made to fill the
  /// memory does not.
  explicit InputFile(std::string path, std::optional<std::int64_t> max_unpacked = {});
  InputFile(InputFile&&) noexcept;
  InputFile& operator=(InputFile&&) noexcept;
  ~InputFile();

  const std::string& path() const { return path_; }
  /// Up to `n` bytes into `out`; less only at the end of the file. Throws on corrupt or truncated
  /// gzip data (its check sum included), on more than it may unpack to, and if the device fails.
  std::size_t read(void* out, std::size_t n);
  /// What is left, as text.
  std::string read_all();

 private:
  class Source;
  std::string path_;
  std::unique_ptr<Source> source_;
};

}  // namespace nn::data

#pragma GCC visibility pop
