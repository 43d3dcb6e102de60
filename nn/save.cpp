#include "nn/save.hpp"

#include <string_view>
#include <unordered_map>

#include "autograd/errors.hpp"

namespace nn {

// The format that readers in Python expect for PyTorch's names and layouts.
void save(const Module& model, const std::string& path) {
  write_safetensors(path, model.state_dict(), {{"format", "pt"}});
}

void save(const StateDict& tensors, const std::string& path) { write_safetensors(path, tensors); }

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
  const StateDict tensors = load_tensors(path);
  try {
    return load(model, tensors, strict);
  } catch (const ag::Error& e) {
    throw ag::Error(path + ": " + e.what());
  }
}

StateDict load_tensors(const std::string& path) { return read_safetensors(path).tensors; }

}  // namespace nn
