#pragma once

#include <map>
#include <string>

#include "nn/state_dict.hpp"

namespace nn {

/// Free text by key, kept in a safetensors file beside the tensors.
using Metadata = std::map<std::string, std::string>;

/// What a safetensors file holds; the tensors in the order of its header.
struct SafeTensors {
  StateDict tensors;
  Metadata metadata;
};

/// Reads and checks a whole safetensors file (github.com/huggingface/safetensors). F32, F64, I64
/// and BOOL are read as they are, F16 and BF16 as float32, I8, I16, I32, U8, U16 and U32 as int64.
/// Throws, naming the file and the rule, if it cannot be read, is damaged or has other dtypes.
SafeTensors read_safetensors(const std::string& path);

/// Writes a safetensors file in one stroke: to a temporary file beside it, synced, then renamed.
/// Whatever fails, and if the process is killed, an older file of that name stays whole; an error
/// throws with its reason. Throws if a name appears twice or is no UTF-8, or a tensor is undefined.
void write_safetensors(const std::string& path, const StateDict& tensors,
                       const Metadata& metadata = {});

}  // namespace nn
