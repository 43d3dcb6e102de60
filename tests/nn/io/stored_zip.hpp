#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

/// The bytes of a zip archive whose entries are stored: for what no tool writes.
inline std::string stored_zip(const std::vector<std::pair<std::string, std::string>>& entries) {
  const auto number = [](std::uint64_t n, int width) {
    std::string bytes;
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(n >> 8 * i & 0xff);
    return bytes;
  };
  std::string files, directory;
  for (const auto& [name, bytes] : entries) {
    const auto sum =
        crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
    const std::string common = number(20, 2) + number(0, 4) + number(0, 2) + number(0x21, 2) +
                               number(sum, 4) + number(bytes.size(), 4) + number(bytes.size(), 4) +
                               number(name.size(), 2) + number(0, 2);
    directory += "PK\1\2" + number(20, 2) + common + number(0, 8) + number(0, 2) +
                 number(files.size(), 4) + name;
    files += "PK\3\4" + common + name + bytes;
  }
  const std::string count = number(entries.size(), 2);
  return files + directory + "PK\5\6" + number(0, 4) + count + count + number(directory.size(), 4) +
         number(files.size(), 4) + number(0, 2);
}
