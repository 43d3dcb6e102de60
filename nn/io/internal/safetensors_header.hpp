#pragma once

#include <string>
#include <vector>

#include "nn/io/internal/elements.hpp"
#include "nn/io/internal/regular_file.hpp"
#include "nn/io/safetensors.hpp"

namespace nn::detail {

/// Where a tensor stands in a safetensors file, counted from its start; it has passed all rules.
struct TensorRange {
  std::string name;
  const ElementFormat* format;
  ag::Shape shape;
  std::uint64_t begin, end;
};

struct SafeTensorsHeader {
  std::vector<TensorRange> tensors;  ///< in the order of the header
  Metadata metadata;
};

/// Reads the header and checks it against the file. Throws, naming the file and the rule.
SafeTensorsHeader read_header(const RegularFile& file);

}  // namespace nn::detail
