#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// A tensor with its dotted name, as in `for (const auto& [name, tensor] :
/// model.named_parameters())`.
struct NamedTensor {
  std::string name;
  autograd::Tensor tensor;
};

/// Tensors by name, in order.
class StateDict : public std::vector<NamedTensor> {
 public:
  using std::vector<NamedTensor>::vector;
  /// The tensor of that name, or null.
  const autograd::Tensor* find(std::string_view name) const;
  /// The tensor of that name. Throws if there is none.
  const autograd::Tensor& at(std::string_view name) const;
};

/// Names that did not match in a `load_state_dict` that is not strict.
struct LoadResult {
  std::vector<std::string> missing;     ///< of the module, not in the state dict
  std::vector<std::string> unexpected;  ///< in the state dict, not of the module
};

}  // namespace nn

#pragma GCC visibility pop
