#pragma once

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/catch.hpp"
#include "tests/nn/scratch.hpp"

/// A file that was written, read again by Protobuf alone.
struct GraphFile {
  onnx::ModelProto model;

  explicit GraphFile(const std::string& path) { REQUIRE(model.ParseFromString(read_bytes(path))); }
  const onnx::GraphProto& graph() const { return model.graph(); }

  /// The operators in their order, separated by blanks.
  std::string operators() const {
    std::string s;
    for (const auto& n : graph().node()) s += (s.empty() ? "" : " ") + n.op_type();
    return s;
  }
  std::vector<std::string> initializers() const {
    std::vector<std::string> names;
    for (const auto& t : graph().initializer()) names.push_back(t.name());
    return names;
  }
  const onnx::NodeProto& node(const std::string& op) const {
    const auto at = std::find_if(graph().node().begin(), graph().node().end(),
                                 [&](const auto& n) { return n.op_type() == op; });
    REQUIRE(at != graph().node().end());
    return *at;
  }

  /// Each name is made once, before it is used, and used; outputs are made.
  void check() const {
    std::set<std::string> made, used;
    const auto make = [&](const std::string& name) {
      INFO(name);
      CHECK(made.insert(name).second);
    };
    for (const auto& i : graph().input()) make(i.name());
    for (const auto& t : graph().initializer()) make(t.name());
    for (const auto& n : graph().node()) {
      for (const auto& i : n.input()) {
        INFO(n.op_type() << " of " << i);
        CHECK((i.empty() || made.contains(i)));
        used.insert(i);
      }
      for (const auto& o : n.output()) make(o);
    }
    for (const auto& o : graph().output()) CHECK(made.contains(o.name()));
    for (const auto& t : graph().initializer()) {
      INFO(t.name());
      CHECK(used.contains(t.name()));
    }
  }
};
