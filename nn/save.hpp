#pragma once

#include <string>

#include "nn/module.hpp"
#include "nn/safetensors.hpp"

namespace nn {

/// Saves the parameters and buffers of a model as a safetensors file, under PyTorch's names and
/// layouts. An older file stays whole until the new one is complete. Throws as `write_safetensors`.
void save(const Module& model, const std::string& path);
/// Saves any tensors.
void save(const StateDict& tensors, const std::string& path);

/// Loads a safetensors file into a model. Throws, and changes nothing, if the file is damaged, a
/// shape or dtype differs, or, when strict, if names are missing or unexpected.
LoadResult load(Module& model, const std::string& path, bool strict = true);
/// Copies tensors into a model, with the same checks.
LoadResult load(Module& model, const StateDict& tensors, bool strict = true);
/// The tensors of a safetensors file, in the order of its header.
StateDict load_tensors(const std::string& path);

}  // namespace nn
