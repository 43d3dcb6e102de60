#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "nn/state_dict.hpp"

namespace nn {

/// A number as a 0-d tensor, exact to the last bit: what a state_dict() stores numbers as.
NamedTensor named_scalar(std::string name, double value);
NamedTensor named_scalar(std::string name, std::int64_t value);
NamedTensor named_scalar(std::string name, bool value);

/// Reads the entries of a state dict by name, for `load_state_dict` of anything that is no module.
/// Its errors begin with `owner`.
class StateReader {
 public:
  StateReader(std::string owner, const StateDict& state);

  bool has(std::string_view name) const { return entries_.contains(name); }
  /// The tensor of that name. Throws if it is missing or differs in shape or dtype.
  const autograd::Tensor& tensor(std::string_view name, const autograd::Shape& shape,
                                 autograd::DType dtype);
  /// One element of that name. Throws as `tensor`.
  double number(std::string_view name);
  std::int64_t integer(std::string_view name);
  bool flag(std::string_view name);
  /// Throws if an entry was never read.
  void finish() const;

 private:
  std::string owner_;
  const StateDict& state_;
  std::unordered_map<std::string_view, const autograd::Tensor*> entries_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace nn
