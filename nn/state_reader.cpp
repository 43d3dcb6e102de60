#include "nn/state_reader.hpp"

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

StateReader::StateReader(std::string owner, const StateDict& state)
    : owner_(std::move(owner)), state_(state) {
  for (const auto& [name, tensor] : state_) entries_.emplace(name, &tensor);
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
}

}  // namespace nn
