#pragma once

#include <string>
#include <vector>

#include "nn/io/safetensors.hpp"
#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// Saves the parameters and buffers of a model as a safetensors file, under PyTorch's names and
/// layouts. An older file stays whole until the new one is complete. Throws as `write_safetensors`,
/// and if there is no parameter or buffer at all. Tied parameters are written under each of their
/// names.
void save(const Module& model, const std::string& path);
/// Saves any tensors; at least one.
void save(const StateDict& tensors, const std::string& path);

/// Throws what saving to `path` would throw for want of a place, a permission or a directory, and
/// changes nothing: to be asked before the training, not after it.
void check_writable(const std::string& path);

/// Loads a safetensors file into a model. Throws, and changes nothing, if the file is damaged, a
/// shape or dtype differs, or, when strict, if names are missing or unexpected. A tied parameter
/// may stand under one of its names alone; what Python's `save_model` left out is found by the
/// metadata.
LoadResult load(Module& model, const std::string& path, bool strict = true);
/// Copies tensors into a model, with the same checks.
LoadResult load(Module& model, const StateDict& tensors, bool strict = true);
/// The tensors of a safetensors file, in the order of its header.
StateDict load_tensors(const std::string& path);
/// Those of these names alone, in their order; the others may have dtypes that cannot be read.
/// Throws if one is not there.
StateDict load_tensors(const std::string& path, const std::vector<std::string>& names);

}  // namespace nn

#pragma GCC visibility pop
