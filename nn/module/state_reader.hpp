#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "nn/module/state_dict.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// A number as a 0-d tensor, exact to the last bit: what a state_dict() stores numbers as.
NamedTensor named_scalar(std::string name, double value);
NamedTensor named_scalar(std::string name, std::int64_t value);
NamedTensor named_scalar(std::string name, bool value);

/// Adds the entry "class.<owner>" with the number of entries, by which `StateReader::finish` knows
/// whose state it is and whether it is whole. The last thing that a `state_dict()` does.
void sign_state(StateDict& state, std::string_view owner);

/// Reads the entries of a state dict by name, for `load_state_dict` of anything that is no module.
/// Its errors begin with `owner`. It refers to the state dict, which must outlive it.
class StateReader {
 public:
  StateReader(std::string owner, const StateDict& state);
  /// Throws unless `sign_state` has signed the state for this owner.
  void check_signature();

  bool has(std::string_view name) const { return entries_.contains(name); }
  /// The tensor of that name. Throws if it is missing or differs in shape or dtype.
  const autograd::Tensor& tensor(std::string_view name, const autograd::Shape& shape,
                                 autograd::DType dtype);
  /// One element of that name. Throws as `tensor`.
  double number(std::string_view name);
  std::int64_t integer(std::string_view name);
  bool flag(std::string_view name);
  /// Throws if an entry was never read, or a signed state is not whole.
  void finish() const;

 private:
  std::string owner_;
  const StateDict& state_;
  std::unordered_map<std::string_view, const autograd::Tensor*> entries_;
  std::set<std::string, std::less<>> read_;
  std::optional<std::int64_t> signed_entries_;
};

}  // namespace nn

#pragma GCC visibility pop
