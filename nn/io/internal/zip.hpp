#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Zip archives by libzip. In a build without it, both constructors refuse.
namespace nn::detail {

/// What an archive may unpack to, unless the caller says so: 256 MiB, or 100 times its size where
/// that is more. Whatever is made of its bytes is taken from one budget, so that neither a packed
/// nothing, nor entries that share their bytes, nor views that repeat them fill the memory.
class Budget {
 public:
  /// Throws if `most` is negative.
  Budget(const std::string& path, std::uint64_t file_size, std::optional<std::int64_t> most);
  /// Throws, naming the option, if less is left.
  void spend(std::uint64_t bytes);

 private:
  std::string path_;
  std::uint64_t limit_, left_;
};

/// An archive that is read by its central directory: what local headers say of sizes does not
/// count. One thread at a time.
class ZipReader {
 public:
  struct Entry {
    std::string name;
    std::uint64_t size;   // in bytes, unpacked
    std::uint64_t index;  // in the central directory
  };

  /// Throws if it is no archive, is damaged, or has an entry that cannot be read: encrypted, packed
  /// by another method than deflate, twice under one name, or of a size that deflate cannot reach.
  ZipReader(const std::string& path, std::optional<std::int64_t> max_unpacked);
  ~ZipReader();

  const std::string& path() const;
  const std::vector<Entry>& entries() const;
  /// The entry of that name, or null.
  const Entry* find(std::string_view name) const;
  Budget& budget();

  /// Opens an entry, at a cost of its size to the budget, and closes the one before.
  void open(const Entry& entry);
  /// The next `n` bytes of it. Throws if there are fewer, or if the last of them shows that the
  /// check sum is wrong.
  void read(void* out, std::uint64_t n);
  std::string read_all(const Entry& entry);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A new archive, which takes the place of `path` at `commit()`.
class ZipWriter {
 public:
  explicit ZipWriter(const std::string& path);
  ~ZipWriter();

  /// Adds an entry of these bytes, one piece after the other; they must live until `commit()`.
  /// Throws if the name would lead out of a directory into which the archive is unpacked, is no
  /// UTF-8, or is longer than 32767 bytes.
  void add(const std::string& name, const std::vector<std::string_view>& pieces,
           bool compressed = false);
  /// Writes the entries, of which there must be one.
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nn::detail
