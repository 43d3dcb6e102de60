#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#pragma GCC visibility push(default)

namespace nn::data {

/// How files of text are read.
struct TextOptions {
  /// Bytes that a gzipped file may unpack to; by default as `InputFile`.
  std::optional<std::int64_t> max_unpacked{};
};

/// A whole file of text, gzipped or not, without a byte order mark at its beginning. Throws, with
/// the place, unless it is UTF-8; as `InputFile` if it cannot be read.
std::string read_text(const std::string& path, const TextOptions& options = {});
/// Its lines, which end with LF or CRLF; the last one may have no end. The file that `read_text`
/// takes, likewise.
std::vector<std::string> read_lines(const std::string& path, const TextOptions& options = {});

}  // namespace nn::data

#pragma GCC visibility pop
