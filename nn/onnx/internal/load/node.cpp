#include <algorithm>
#include <type_traits>

#include "nn/onnx/internal/load/interpreter.hpp"

namespace nn::interpreter {

std::string Node::place() const {
  return fmt::format("node \"{}\" ({})", ag::quoted(name), ag::quoted(op));
}

const Attribute* Node::find(std::string_view attribute) {
  asked_.emplace_back(attribute);
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? nullptr : &found->second;
}

template <class T>
const T* Node::get(std::string_view attribute, std::string_view kind) {
  const Attribute* found = find(attribute);
  if (!found) return nullptr;
  if (const T* value = std::get_if<T>(found)) return value;
  refuse("attribute {} must be {}", attribute, kind);
}

namespace {
template <class T, class F>
T value_or(const Node& node, std::string_view attribute, const T* got, const F& fallback) {
  if (got) return *got;
  if (!fallback) node.refuse("attribute {} must be there", attribute);
  return *fallback;
}
}  // namespace

std::int64_t Node::integer(std::string_view attribute, std::optional<std::int64_t> fallback) {
  return value_or(*this, attribute, get<std::int64_t>(attribute, "an integer"), fallback);
}
double Node::number(std::string_view attribute, std::optional<double> fallback) {
  return value_or(*this, attribute, get<double>(attribute, "a number"), fallback);
}
std::string Node::text(std::string_view attribute, std::optional<std::string> fallback) {
  return value_or(*this, attribute, get<std::string>(attribute, "a text"), fallback);
}
std::optional<Integers> Node::integers(std::string_view attribute) {
  const auto* found = get<Integers>(attribute, "integers");
  return found ? std::optional(*found) : std::nullopt;
}
std::optional<std::vector<double>> Node::numbers(std::string_view attribute) {
  const auto* found = get<std::vector<double>>(attribute, "numbers");
  return found ? std::optional(*found) : std::nullopt;
}
std::vector<std::string> Node::texts(std::string_view attribute) {
  const auto* found = get<std::vector<std::string>>(attribute, "texts");
  return found ? *found : std::vector<std::string>();
}
Tensor Node::tensor(std::string_view attribute) {
  const auto* found = get<Tensor>(attribute, "a tensor");
  return found ? *found : Tensor();
}
Subgraph Node::graph(std::string_view attribute) {
  const auto* found = get<Subgraph>(attribute, "a graph");
  if (!found) refuse("attribute {} must be there", attribute);
  return *found;
}

void Node::arity(std::size_t least, std::size_t most) const {
  if (inputs.size() < least || inputs.size() > most)
    refuse("must have {} inputs, got {}",
           least == most  ? fmt::format("{}", least)
           : most == kAny ? fmt::format("at least {}", least)
                          : fmt::format("{} to {}", least, most),
           inputs.size());
}

std::string Node::unknown() const {
  for (const auto& [attribute, value] : attributes)
    if (std::find(asked_.begin(), asked_.end(), attribute) == asked_.end()) return attribute;
  return {};
}

}  // namespace nn::interpreter
