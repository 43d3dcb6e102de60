#include "nn/onnx/internal/load/roles.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {
namespace {

// Inputs that say how a node computes rather than with which weights.
bool is_setting(const Use& use) {
  static const std::map<std::string, std::set<int>, std::less<>> settings{
      {"Clip", {1, 2}},
      {"Pad", {1, 2}},
      {"Resize", {1, 2, 3}},
      {"Upsample", {1}},
      {"Dropout", {1, 2}},
      {"OneHot", {1, 2}},
      {"Range", {0, 1, 2}},
      {"Pow", {1}},
      {"Mod", {1}},
      {"CastLike", {1}},
      {"AffineGrid", {1}},
      {"Shape", {0}},
      {"ConstantOfShape", {0}},
      {"Equal", {0, 1}},
      {"Less", {0, 1}},
      {"Greater", {0, 1}},
      {"LessOrEqual", {0, 1}},
      {"GreaterOrEqual", {0, 1}},
      {"Reshape", {1}},
      {"Expand", {1}},
      {"RotaryEmbedding", {1, 2}},
      {"Attention", {3}}};
  const auto found = settings.find(use.node->op_type());
  return found != settings.end() && found->second.contains(use.input);
}
bool is_statistic(const Use& use) {
  return use.node->op_type() == "BatchNormalization" && use.input >= 3;
}
// Of these even one number is a weight.
bool takes_weights(const Use& use) {
  static const std::set<std::string, std::less<>> ops{"Conv",
                                                      "ConvTranspose",
                                                      "Gemm",
                                                      "MatMul",
                                                      "BatchNormalization",
                                                      "InstanceNormalization",
                                                      "LSTM",
                                                      "GRU",
                                                      "RNN",
                                                      "PRelu",
                                                      "LayerNormalization",
                                                      "GroupNormalization",
                                                      "RMSNormalization",
                                                      "CausalConvWithState"};
  return ops.contains(use.node->op_type());
}

bool all_finite(const Tensor& values) {
  const auto numbers = numbers_of(values);
  return std::all_of(numbers.begin(), numbers.end(), [](double v) { return std::isfinite(v); });
}
bool all_equal(const Tensor& values) {
  const auto numbers = numbers_of(values);
  return std::all_of(numbers.begin(), numbers.end(), [&](double v) { return v == numbers[0]; });
}

}  // namespace

Roles::Roles(const onnx::GraphProto& graph, Choice choice) : choice_(std::move(choice)) {
  for (const auto& initializer : graph.initializer()) {
    if (initializer.dims_size() > 1) matrices_.insert(initializer.name());
    for (const auto& [kind, role] :
         {std::pair("parameter", Role::parameter), std::pair("buffer", Role::statistic),
          std::pair("constant", Role::constant)})
      if (initializer.doc_string() == kind) said_[initializer.name()] = role;
  }
  note(graph);
}

void Roles::note(const onnx::GraphProto& graph) {
  for (const auto& node : graph.node()) {
    for (int i = 0; i < node.input_size(); ++i) uses_[node.input(i)].push_back({&node, i});
    for (const auto& attribute : node.attribute())
      if (attribute.has_g()) note(attribute.g());
  }
}

// A scalar is a constant of the formula unless a layer takes it; so is what holds infinities (a
// mask).
bool Roles::is_weight(const std::string& name, const Tensor& values) const {
  if (choice_) return choice_(name, values);
  const auto& uses = uses_.at(name);
  if (std::all_of(uses.begin(), uses.end(), is_setting)) return false;
  const bool layer = std::any_of(uses.begin(), uses.end(), takes_weights);
  return values.ndim() > 0 && (layer || values.numel() > 1) && all_finite(values);
}

// What else of weights the node of this use has: the same matrices mean the same layer.
std::string Roles::key_of(const Use& use, const std::string& name) const {
  std::string key;
  for (const std::string& input : use.node->input())
    if (input != name && matrices_.contains(input)) key += input + '\n';
  if (!key.empty()) return key;
  return std::to_string(reinterpret_cast<std::uintptr_t>(use.node));
}

// Exporters write equal tensors once, so that the ones of two norms are the same initializer, and
// the zeros of a bias are those of a running mean. What has one axis and one value all over is
// therefore a tensor of its own for each layer.
std::vector<Roles::Part> Roles::parts(const std::string& name, const Tensor& values) const {
  const auto found = uses_.find(name);
  if (found == uses_.end() || !ag::is_floating(values.dtype())) return {{Role::constant, name, {}}};
  if (const auto said = said_.find(name); said != said_.end() && !choice_)
    return {{said->second, name, found->second}};
  std::vector<Part> parts;
  std::map<std::string, std::size_t> part_of;
  const bool merged = values.ndim() == 1 && values.numel() > 0 && all_equal(values);
  const Role other = is_weight(name, values) ? Role::parameter : Role::constant;
  for (const Use& use : found->second) {
    const Role role = is_statistic(use) ? Role::statistic : other;
    const std::string key =
        role == Role::statistic
            ? fmt::format("{}:{}", reinterpret_cast<std::uintptr_t>(use.node), use.input)
        : merged && role == Role::parameter ? key_of(use, name)
                                            : std::string("all");
    const auto [at, fresh] = part_of.emplace(key, parts.size());
    if (fresh) {
      const std::string node =
          use.node->name().empty() ? std::to_string(parts.size()) : use.node->name();
      parts.push_back(
          {role, parts.empty() ? name : fmt::format("{}.{}.{}", name, node, use.input), {}});
    }
    parts[at->second].uses.push_back(use);
  }
  return parts;
}

}  // namespace nn::interpreter
