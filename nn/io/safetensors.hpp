#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nn/module/state_dict.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Free text by key, kept in a safetensors file beside the tensors.
using Metadata = std::map<std::string, std::string>;

/// What a safetensors file holds; the tensors in the order of its header.
struct SafeTensors {
  StateDict tensors;
  Metadata metadata;
};

/// Reads and checks a whole safetensors file (github.com/huggingface/safetensors). F32, F64, I64
/// and BOOL are read as they are, F16, BF16 and those of F8 as float32, I8, I16, I32, U8, U16, U32
/// and U64 as int64, which must hold them. Throws, naming the file and the rule, if it cannot be
/// read, is damaged, is no regular file or has other dtypes (C64, F4, F6).
SafeTensors read_safetensors(const std::string& path);

namespace detail {
/// The same with the tensors alone whose names are wanted; the others may have any dtype. Their
/// names are added to `skipped`.
SafeTensors read_safetensors(const std::string& path,
                             const std::function<bool(std::string_view)>& wanted,
                             std::vector<std::string>& skipped);
}  // namespace detail

/// Writes a safetensors file in one stroke: to a temporary file beside it, synced, then renamed.
/// Whatever fails, and if the process is killed, an older file of that name stays whole; an error
/// throws with its reason. What a killed process left behind is removed by the next save or load of
/// the same path. A link stays a link; what it points to is written. Throws if a name appears twice
/// or is no UTF-8, a tensor is undefined, or the target is read-only or no regular file.
void write_safetensors(const std::string& path, const StateDict& tensors,
                       const Metadata& metadata = {});

}  // namespace nn

#pragma GCC visibility pop
