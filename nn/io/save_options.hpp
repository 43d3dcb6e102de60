#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "nn/module/module.hpp"
#include "nn/module/state_dict.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// How a file holds tensors of float32 and float64. Those of int64 and bool stay what they are.
enum class FileDType : std::uint8_t {
  same,
  float16,  ///< 11 bits of precision, up to 65504
  bfloat16  ///< 8 bits of precision, the range of float32
};

struct SaveOptions {
  FileDType dtype = FileDType::same;
};

/// Saves as `save(model, path)`, with elements of 16 bits, each the nearest to the element, ties to
/// even. They are read as float32. Throws, with the name, where a finite element is beyond the
/// range; an older file is unchanged then.
void save(const Module& model, const std::string& path, const SaveOptions& options);
void save(const StateDict& tensors, const std::string& path, const SaveOptions& options);

/// Writes as `save_torch(tensors, path)` (nn/io/torch.hpp), with elements of 16 bits, "HalfStorage" and
/// "BFloat16Storage" to PyTorch. Throws as above where an element is beyond the range.
void save_torch(const StateDict& tensors, const std::string& path, const SaveOptions& options);

/// The same tensors under the names that `translate` gives for theirs; an empty one leaves the
/// tensor out. For models whose names differ: `load(model, renamed(load_tensors(path), f))`. Throws
/// if two get one name.
StateDict renamed(const StateDict& tensors,
                  const std::function<std::string(const std::string&)>& translate);

}  // namespace nn

#pragma GCC visibility pop
