#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nn/onnx/internal/load/builder.hpp"

namespace nn::interpreter {

/// A graph under construction with the names around it.
struct Frame {
  Graph graph{};
  Frame* outer = nullptr;
  struct Scope* outer_scope = nullptr;
  std::vector<int> captured{};  ///< slots of the outer graph

  int slot() { return graph.slots++; }
};

/// Names and what they stand for: those of a graph, or of the body of a function.
struct Scope {
  std::map<std::string, int, std::less<>> names{};
  const std::map<std::string, const onnx::AttributeProto*, std::less<>>* attributes = nullptr;
  const std::map<std::string, std::int64_t>* opsets = nullptr;
  std::string prefix{};  ///< of names of nodes
  int depth = 0;
};

/// The nodes so that each stands behind what it reads; throws where they go in a circle. Names that
/// none of them makes come from outside.
std::vector<const onnx::NodeProto*> in_order(
    const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes);

}  // namespace nn::interpreter
