#pragma once

#include <onnx/onnx_pb.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "nn/onnx/internal/load/interpreter.hpp"

namespace nn::interpreter {

/// One input of a node.
struct Use {
  const onnx::NodeProto* node;
  int input;
  friend bool operator<(const Use& a, const Use& b) {
    return std::tie(a.node, a.input) < std::tie(b.node, b.input);
  }
};

/// What the initializers of a graph are: weights, running statistics or constants.
class Roles {
 public:
  enum class Role { constant, parameter, statistic };
  using Choice = std::function<bool(std::string_view, const Tensor&)>;

  Roles(const onnx::GraphProto& graph, Choice choice);

  /// A tensor that the model holds: one initializer for some of the nodes that use it.
  struct Part {
    Role role;
    std::string name;
    std::vector<Use> uses;
  };
  /// The first part is for all uses that others do not name.
  std::vector<Part> parts(const std::string& name, const Tensor& values) const;

 private:
  void note(const onnx::GraphProto& graph);
  bool is_weight(const std::string& name, const Tensor& values) const;
  std::string key_of(const Use& use, const std::string& name) const;

  std::map<std::string, std::vector<Use>, std::less<>> uses_;
  std::map<std::string, Role, std::less<>> said_;  // by files of save_onnx
  std::set<std::string, std::less<>> matrices_;    // initializers of two or more axes
  Choice choice_;
};

}  // namespace nn::interpreter
