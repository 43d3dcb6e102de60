#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace nn::data {

/// A file read from start to end. One that begins with gzip's magic bytes (RFC 1952) is unpacked on
/// the way, whatever its name. Errors begin with the path.
class InputFile {
 public:
  /// Throws if the file is missing, is a directory or may not be read.
  explicit InputFile(std::string path);
  InputFile(InputFile&&) noexcept;
  InputFile& operator=(InputFile&&) noexcept;
  ~InputFile();

  const std::string& path() const { return path_; }
  /// Up to `n` bytes into `out`; less only at the end of the file. Throws on corrupt or truncated
  /// gzip data (its check sum included) and if the device fails.
  std::size_t read(void* out, std::size_t n);
  /// What is left, as text.
  std::string read_all();

 private:
  class Source;
  std::string path_;
  std::unique_ptr<Source> source_;
};

}  // namespace nn::data
