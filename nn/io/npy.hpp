#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/module/state_dict.hpp"

#pragma GCC visibility push(default)

/// NumPy's files (numpy.lib.format): npy holds one array, npz is a zip archive of them.
///
/// float32, float64, int64 and bool are read as they are, float16 as float32, the other integers as
/// int64, which must hold them; of either order of bytes and of axes, versions 1 to 3. Complex
/// numbers, long double, text, times, structures and objects (pickles, which are never run) are
/// refused by name.
namespace nn {

/// Throws, naming the file, if it is damaged or holds more than one array, or for the dtypes above.
autograd::Tensor load_npy(const std::string& path);
/// Writes version 1.0, little endian, in C order. An older file stays whole until the new one is
/// complete. `path` gets no ending of its own, as `numpy.save` would give it.
void save_npy(const autograd::Tensor& array, const std::string& path);

struct LoadNpzOptions {
  /// The arrays to read, in this order; the others may be anything. Empty: all, in the order of the
  /// archive.
  std::vector<std::string> names = {};
  /// Bytes that all of them may unpack to; by default 256 MiB, or 100 times the archive where that
  /// is more.
  std::optional<std::int64_t> max_unpacked = {};
};

/// The arrays of a npz archive by name, without the ending ".npy". Throws as `load_npy`, and if the
/// archive is damaged, encrypted, holds something else or unpacks to more than it may; in a build
/// without libzip always.
StateDict load_npz(const std::string& path, const LoadNpzOptions& options = {});

struct SaveNpzOptions {
  bool compressed = false;  ///< deflated, as by `numpy.savez_compressed`
};

/// Writes a npz archive, which `numpy.load` reads: `save_npz({{"x", x}, {"y", y}}, "a.npz")`. An
/// older file stays whole until the new one is complete. Throws if a name appears twice, is no
/// UTF-8 or would lead out of a directory (`..`), or a tensor is undefined; in a build without
/// libzip always.
void save_npz(const StateDict& arrays, const std::string& path, const SaveNpzOptions& options = {});

}  // namespace nn

#pragma GCC visibility pop
