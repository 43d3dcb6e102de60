#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/registered.hpp"

/// Damaged files for every reader: valid ones, mutated. A reader must take each or throw an
/// `autograd::Error`; a refused one leaves what it would have changed as it was.
namespace fuzz {

struct Target {
  std::string reader;              ///< as it is declared
  std::vector<std::string> files;  ///< valid ones: their bytes
  /// Reads the file at `path`. `choice` picks among options.
  std::function<void(const std::string& path, std::uint64_t choice)> read;
};

/// Every reader of files. Those that take a directory or two files get the mutated one as one of
/// them, beside valid others.
std::vector<Target> targets();
/// The targets of a file, which may be the reader's test: `const Family idx_targets(idx);`.
using Family = Registered<std::vector<Target> (*)()>;

std::string gzipped(const std::string& bytes);

/// A damaged file: a function of the target's files, the seed and the number.
std::string mutated(const Target& target, std::uint64_t seed, std::uint64_t number);
/// `file`, damaged further.
std::string damaged(const Target& target, std::string file, std::uint64_t seed);

/// Has the file at `path` read; returns whether it was taken. Throws what is no `autograd::Error`,
/// and if tensors take more than 16 MiB.
bool taken(const Target& target, const std::string& path, std::uint64_t choice);

/// What became of the files that were read.
struct Count {
  std::uint64_t taken = 0, refused = 0;
};
/// Writes files `from` to `to` - 1, one after the other, to `path`, and has them read. Throws as
/// `taken`, with the number of the file.
Count run(const Target& target, std::uint64_t seed, std::uint64_t from, std::uint64_t to,
          const std::string& path);

}  // namespace fuzz
