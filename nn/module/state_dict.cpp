#include "nn/module/state_dict.hpp"

namespace nn {

const autograd::Tensor* StateDict::find(std::string_view name) const {
  for (const auto& entry : *this)
    if (entry.name == name) return &entry.tensor;
  return nullptr;
}

const autograd::Tensor& StateDict::at(std::string_view name) const {
  if (const auto* tensor = find(name)) return *tensor;
  autograd::fail("state_dict", "the name must be one of the {} here, got '{}'", size(),
                 autograd::quoted(name));
}

}  // namespace nn
