#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "nn/io/safetensors.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// What the header of a safetensors file says of a tensor.
struct TensorInfo {
  std::string name;
  std::string dtype;  ///< as the file calls it: "F32", "BF16", …
  autograd::Shape shape;
};

/// A safetensors file that is open, of which only what is asked for is read. Of a model in several
/// files it takes the index, `model.safetensors.index.json`, and is all of them. Copies share what
/// is open; threads may read from one at the same time.
class SafeTensorsFile {
 public:
  /// Reads and checks the header, or those of all files that the index names; these must stand in
  /// its directory. Throws as `read_safetensors`, and if a name appears in two files or is not in
  /// the one where the index has it.
  explicit SafeTensorsFile(std::string path);

  /// In the order of the headers.
  const std::vector<TensorInfo>& tensors() const;
  /// Of several files the first that has a key counts.
  const Metadata& metadata() const;
  bool contains(std::string_view name) const;

  /// The tensor of that name, as `read_safetensors` reads it. Throws if there is none.
  autograd::Tensor read(std::string_view name) const;
  /// Its rows `begin` to `end` - 1 along the first axis alone. Throws unless they are there.
  autograd::Tensor read_rows(std::string_view name, std::int64_t begin, std::int64_t end) const;
  /// The elements in the file's own pages, which the system reads when they are used, and shares
  /// between processes; what the program writes stays its own. A copy as by `read` where the file
  /// has another dtype, or has them at a place that no pointer to them may have. The file must not
  /// be shortened while the tensor lives; one that is replaced (as `save` does) stays as it was.
  autograd::Tensor map(std::string_view name) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace nn

#pragma GCC visibility pop
