#include "nn/module/state_reader.hpp"

namespace nn {

NamedTensor named_scalar(std::string name, double value) {
  return {std::move(name), autograd::tensor(value)};
}
NamedTensor named_scalar(std::string name, std::int64_t value) {
  return {std::move(name), autograd::tensor(value)};
}
NamedTensor named_scalar(std::string name, bool value) {
  return {std::move(name), autograd::tensor(value)};
}

constexpr std::string_view kClass = "class.";

void sign_state(StateDict& state, std::string_view owner) {
  const auto entries = static_cast<std::int64_t>(state.size());
  state.push_back(named_scalar(fmt::format("{}{}", kClass, owner), entries));
}

StateReader::StateReader(std::string owner, const StateDict& state)
    : owner_(std::move(owner)), state_(state) {
  for (const auto& [name, tensor] : state_) entries_.emplace(name, &tensor);
}

void StateReader::check_signature() {
  const std::string own = fmt::format("{}{}", kClass, owner_);
  if (has(own)) {
    signed_entries_ = integer(own);
    return;
  }
  for (const auto& [name, tensor] : state_)
    if (name.starts_with(kClass))
      autograd::fail(owner_, "the state must be that of {}, got one of {}", owner_,
                     name.substr(kClass.size()));
  autograd::fail(owner_, "the state must be that of {}, got one without '{}'", owner_, own);
}

const autograd::Tensor& StateReader::tensor(std::string_view name, const autograd::Shape& shape,
                                            autograd::DType dtype) {
  const auto entry = entries_.find(name);
  if (entry == entries_.end())
    autograd::fail(owner_, "the state must have an entry '{}', got none", name);
  const autograd::Tensor* const found = entry->second;
  if (!(found->shape() == shape) || found->dtype() != dtype)
    autograd::fail(owner_, "'{}' must be {} {}, got {} {}", name, autograd::name(dtype), shape,
                   autograd::name(found->dtype()), found->shape());
  read_.emplace(name);
  return *found;
}

double StateReader::number(std::string_view name) {
  return tensor(name, {}, autograd::float64).item<double>();
}
std::int64_t StateReader::integer(std::string_view name) {
  return tensor(name, {}, autograd::int64).item<std::int64_t>();
}
bool StateReader::flag(std::string_view name) {
  return tensor(name, {}, autograd::boolean).item<bool>();
}

void StateReader::finish() const {
  for (const auto& [name, tensor] : state_)
    if (!read_.contains(name))
      autograd::fail(owner_, "the state must hold only what belongs here, got an entry '{}'", name);
  const auto entries = static_cast<std::int64_t>(state_.size()) - 1;
  if (signed_entries_ && *signed_entries_ != entries)
    autograd::fail(owner_, "the state must have the {} entries that were saved, got {}",
                   *signed_entries_, entries);
}

}  // namespace nn
