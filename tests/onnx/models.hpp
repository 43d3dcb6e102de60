#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "autograd/autograd.hpp"
#include "nn/onnx/load.hpp"
#include "tests/nn/scratch.hpp"

/// Small models for tests, written by hand.
namespace models {

namespace ag = autograd;

class Model {
 public:
  explicit Model(std::int64_t opset = 20) {
    proto.set_ir_version(10);
    auto* import = proto.add_opset_import();
    import->set_version(opset);
    proto.mutable_graph()->set_name("g");
  }

  Model& input(const std::string& name, int type = onnx::TensorProto::FLOAT) {
    return port(proto.mutable_graph()->add_input(), name, type);
  }
  Model& output(const std::string& name, int type = onnx::TensorProto::FLOAT) {
    return port(proto.mutable_graph()->add_output(), name, type);
  }
  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs) {
    return add(*proto.mutable_graph(), op, inputs, outputs);
  }
  static onnx::NodeProto& add(onnx::GraphProto& graph, const std::string& op,
                              const std::vector<std::string>& inputs,
                              const std::vector<std::string>& outputs) {
    onnx::NodeProto* node = graph.add_node();
    node->set_op_type(op);
    node->set_name(op + "_" + std::to_string(graph.node_size()));
    for (const auto& name : inputs) node->add_input(name);
    for (const auto& name : outputs) node->add_output(name);
    return *node;
  }
  onnx::TensorProto& initializer(const std::string& name, const ag::Tensor& values) {
    onnx::TensorProto* t = proto.mutable_graph()->add_initializer();
    t->set_name(name);
    for (const auto n : values.shape()) t->add_dims(n);
    const bool whole = values.dtype() == ag::int64;
    t->set_data_type(whole ? onnx::TensorProto::INT64 : onnx::TensorProto::FLOAT);
    t->set_raw_data(values.raw(),
                    static_cast<std::size_t>(values.numel()) * ag::size_of(values.dtype()));
    return *t;
  }
  std::string bytes() const { return proto.SerializeAsString(); }
  nn::OnnxModel load(const nn::OnnxLoadOptions& options = {}) const {
    const Scratch scratch;
    write_bytes(scratch / "m.onnx", bytes());
    return nn::load_onnx(scratch / "m.onnx", options);
  }

  onnx::ModelProto proto;

 private:
  Model& port(onnx::ValueInfoProto* info, const std::string& name, int type) {
    info->set_name(name);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(type);
    return *this;
  }
};

inline void set(onnx::NodeProto& node, const std::string& name, int value) {
  auto* a = node.add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::INT);
  a->set_i(value);
}
inline void set(onnx::NodeProto& node, const std::string& name, float value) {
  auto* a = node.add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::FLOAT);
  a->set_f(value);
}
inline onnx::GraphProto& graph(onnx::NodeProto& node, const std::string& name) {
  auto* a = node.add_attribute();
  a->set_name(name);
  a->set_type(onnx::AttributeProto::GRAPH);
  a->mutable_g()->set_name(name);
  return *a->mutable_g();
}

/// x → Gemm(w, b) → y with w (3, 2), b (3).
inline Model linear() {
  Model m;
  m.input("x").output("y");
  m.initializer("w", ag::tensor({{1.0f, 2.0f}, {3.0f, 4.0f}, {5.0f, 6.0f}}));
  m.initializer("b", ag::tensor({0.5f, -0.5f, 0.25f}));
  set(m.node("Gemm", {"x", "w", "b"}, {"y"}), "transB", 1);
  return m;
}

}  // namespace models
