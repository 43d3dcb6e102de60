#include <queue>
#include <unordered_map>

#include "nn/onnx/internal/load/scope.hpp"

namespace nn::interpreter {
namespace {

// The names that a node reads, those of graphs inside of it too.
void add_reads(const onnx::NodeProto& node, std::vector<std::string_view>& names) {
  for (const std::string& input : node.input())
    if (!input.empty()) names.push_back(input);
  for (const auto& attribute : node.attribute())
    if (attribute.has_g()) {
      for (const auto& inner : attribute.g().node()) add_reads(inner, names);
      for (const auto& output : attribute.g().output()) names.push_back(output.name());
    }
}

}  // namespace

std::vector<const onnx::NodeProto*> in_order(
    const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
  std::unordered_map<std::string_view, int> maker;
  for (int i = 0; i < nodes.size(); ++i)
    for (const std::string& output : nodes[i].output())
      if (!output.empty() && !maker.emplace(output, i).second)
        ag::fail("graph", "each value must be made once, got \"{}\" twice", ag::quoted(output));
  const auto n = static_cast<std::size_t>(nodes.size());
  std::vector<int> waits(n);
  std::vector<std::vector<int>> readers(n);
  for (int i = 0; i < nodes.size(); ++i) {
    std::vector<std::string_view> reads;
    add_reads(nodes[i], reads);
    for (const std::string_view name : reads)
      if (const auto from = maker.find(name); from != maker.end()) {
        ++waits[static_cast<std::size_t>(i)];
        readers[static_cast<std::size_t>(from->second)].push_back(i);
      }
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < nodes.size(); ++i)
    if (waits[static_cast<std::size_t>(i)] == 0) ready.push(i);
  std::vector<const onnx::NodeProto*> order;
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(&nodes[i]);
    for (const int reader : readers[static_cast<std::size_t>(i)])
      if (--waits[static_cast<std::size_t>(reader)] == 0) ready.push(reader);
  }
  if (order.size() != n) ag::fail("graph", "nodes must not go in a circle, got some that do");
  return order;
}

}  // namespace nn::interpreter
