#include "nn/io/save.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "autograd/core/errors.hpp"

namespace nn {
namespace {

// Python's `save_model` writes a tied tensor once, and the other names into the metadata, each with
// the one that was kept.
void add_twins(SafeTensors& file, const StateDict& own) {
  for (const auto& [name, tensor] : own) {
    const auto kept = file.metadata.find(name);
    if (kept == file.metadata.end() || file.tensors.find(name)) continue;
    if (const ag::Tensor* twin = file.tensors.find(kept->second))
      file.tensors.push_back({name, ag::Tensor(*twin)});
  }
}

}  // namespace

LoadResult load(Module& model, const StateDict& tensors, bool strict) {
  std::string wrong, name_of_dtype;
  std::unordered_map<std::string_view, const ag::Tensor*> entries;
  for (const auto& [name, tensor] : tensors) entries.emplace(name, &tensor);
  for (const auto& [name, own] : model.state_dict()) {
    const auto entry = entries.find(name);
    if (entry == entries.end()) continue;
    const ag::Tensor* const given = entry->second;
    if (!given->defined() || given->dtype() == own.dtype()) continue;
    wrong += fmt::format("{}{} {} for {}", wrong.empty() ? "" : ", ", name,
                         ag::name(given->dtype()), ag::name(own.dtype()));
    if (ag::is_floating(given->dtype())) name_of_dtype = ag::name(given->dtype());
  }
  if (!wrong.empty())
    ag::fail("load", "dtypes must be those of the model, got {}; {}", wrong,
             name_of_dtype.empty() ? "convert the tensors with .to(dtype)"
                                   : "call model.to(" + name_of_dtype + ") first");
  return model.load_state_dict(tensors, strict);
}

LoadResult load(Module& model, const std::string& path, bool strict) {
  const StateDict own = model.state_dict();
  // What is not the model's may be of any dtype, unless it must not be there at all.
  std::vector<std::string> skipped;
  SafeTensors file = detail::read_safetensors(
      path, [&](std::string_view name) { return strict || own.find(name); }, skipped);
  try {
    add_twins(file, own);
    LoadResult result = load(model, file.tensors, strict);
    result.unexpected.insert(result.unexpected.end(), skipped.begin(), skipped.end());
    return result;
  } catch (const ag::Error& e) {
    throw ag::Error(path + ": " + e.what());
  }
}

StateDict load_tensors(const std::string& path) { return read_safetensors(path).tensors; }

StateDict load_tensors(const std::string& path, const std::vector<std::string>& names) {
  const auto wanted = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> skipped;
  const StateDict found = detail::read_safetensors(path, wanted, skipped).tensors;
  StateDict tensors;
  for (const auto& name : names) {
    const ag::Tensor* tensor = found.find(name);
    if (!tensor) ag::fail(path, "must hold a tensor '{}', got none of that name", name);
    tensors.push_back({name, *tensor});
  }
  return tensors;
}

}  // namespace nn
