#pragma once

#include <onnx/onnx_pb.h>

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nn/onnx/internal/save/traced.hpp"

/// A graph of ONNX nodes while it is made. Internal.
namespace nn::onnx_out {

/// An attribute of a node.
struct NodeAttribute {
  NodeAttribute(std::string_view name, std::int64_t value);
  NodeAttribute(std::string_view name, double value);
  NodeAttribute(std::string_view name, const std::string& value);
  NodeAttribute(std::string_view name, const std::vector<std::int64_t>& values);
  NodeAttribute(std::string_view name, const std::vector<std::string>& values);
  onnx::AttributeProto proto;
};
using NodeAttributes = std::vector<NodeAttribute>;
/// The name of a result; empty for an input that a node does without.
using Name = std::string;
using Names = std::vector<Name>;

onnx::TensorProto::DataType onnx_type(ag::DType dtype);

class Graph {
 public:
  explicit Graph(int opset) : opset_(opset) {}
  int opset() const { return opset_; }

  /// A node with one result.
  Name node(std::string_view op, const Names& in, const NodeAttributes& attributes = {}) {
    return nodes(op, in, 1, attributes)[0];
  }
  /// A node with several results.
  Names nodes(std::string_view op, const Names& in, std::size_t outputs,
              const NodeAttributes& attributes = {});
  /// A reduction, which keeps its axes unless told otherwise: some take them as an input from
  /// opset 18 on.
  Name reduce(std::string_view op, const Name& x, const std::vector<std::int64_t>& axes,
              bool keepdims = true);

  /// Elements as an initializer of that name. Its kind is "parameter", "buffer" or "constant", by
  /// which `load_onnx` knows it again, or empty.
  Name initializer(const Name& name, const ag::Tensor& elements, const std::string& kind);
  Name constant(const ag::Tensor& elements);
  /// One number of a dtype, without axes.
  Name number(double value, ag::DType dtype);
  Name number(const Varying<double>& value, ag::DType dtype);
  /// A list of int64.
  Name list(const std::vector<std::int64_t>& values);
  /// The same of sizes that may depend on the batch.
  Name list(const Dims& dims);
  /// One size without axes.
  Name scalar(const Dim& dim);

  Name cast(const Name& x, ag::DType dtype);
  Name reshape(const Name& x, const Dims& to);
  Name expand(const Name& x, const Dims& to);
  /// Of one number repeated.
  Name filled(double value, ag::DType dtype, const Dims& shape);
  Name transpose(const Name& x, const std::vector<std::int64_t>& order);
  /// From, to, step along one axis; `to` counts as Python's.
  Name slice(const Name& x, std::int64_t axis, const Dim& from, const Dim& to,
             std::int64_t step = 1);
  Name unsqueeze(const Name& x, std::int64_t axis) {
    return node("Unsqueeze", {x, list(one(axis))});
  }
  Name squeeze(const Name& x, std::int64_t axis) { return node("Squeeze", {x, list(one(axis))}); }

  /// An input of the graph; `dims` as text where they depend on the batch.
  void input(const Name& name, ag::DType dtype, const Dims& dims);
  /// Where the batch size is read: an axis of an input.
  void batch_from(const Name& input, std::int64_t axis) {
    batch_input_ = input, batch_axis_ = axis;
  }
  /// Makes a result an output of that name.
  void output(const Name& name, const Name& result, ag::DType dtype, const Dims& dims);
  /// Takes a name, so that nothing else gets it.
  void reserve(const Name& name) { taken_.insert(name); }
  Name fresh(std::string_view stem);

  /// Without what no output needs.
  onnx::GraphProto finish();

 private:
  static std::vector<std::int64_t> one(std::int64_t axis) { return {axis}; }
  void rename(const Name& from, const Name& to);
  Name batch();

  int opset_;
  onnx::GraphProto proto_;
  std::set<Name, std::less<>> taken_;
  std::map<std::string, int, std::less<>> stems_;
  std::map<std::string, Name> constants_;  // small ones by type, shape and elements
  std::map<std::string, Name> lists_;      // sizes by their text
  Name batch_input_, batch_;
  std::int64_t batch_axis_ = 0;
};

}  // namespace nn::onnx_out
