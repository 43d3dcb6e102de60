#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

namespace detail {
struct LoadedGraph;
}

/// Options of `load_onnx`.
struct OnnxLoadOptions {
  /// Whether a tensor of floats in the file is a parameter, by its name and values. Without it
  /// those are that were one when `save_onnx` wrote the file; in other files those that layers and products use, or that have more than one element, unless they say
  /// how a node computes (bounds, scales, exponents) or hold infinities (masks).
  std::function<bool(std::string_view name, const ag::Tensor& values)> is_parameter{};
  /// Inputs must have the sizes that the file fixes, as onnxruntime demands; false: whatever runs.
  bool check_shapes = true;
};

/// Tensors by name.
using NamedTensors = std::map<std::string, ag::Tensor>;

/// A model that was read from a file by `load_onnx`: a module like others, which can be trained,
/// copied, compiled and saved. Its parameters are the weights of the file, by their names there;
/// the running statistics of BatchNormalization are buffers. It begins in evaluation mode, in which
/// it computes what the file says; in training mode Dropout drops and BatchNormalization uses the
/// batch and updates the running statistics, as PyTorch's does. Errors begin with the name of the
/// node. After `to(dtype)` all floats are of that dtype, where those of the file have one. Copies
/// share the graph, which never changes, and have weights of their own; it may be
/// called on several threads at once, but for the updates of running statistics.
class OnnxModel : public Module {
 public:
  /// Of a graph with one input and one output.
  ag::Tensor forward(const ag::Tensor& x) const;
  /// All inputs that the graph needs, in its order; gives all outputs.
  ag::TensorList forward(const ag::TensorList& inputs) const;
  /// Values of the graph by name, with inputs by name: any node's results, the outputs if none is
  /// named. Only the nodes up to the last one that is needed run. Throws for names that are not
  /// there.
  NamedTensors run(const NamedTensors& inputs, const std::vector<std::string>& names = {}) const;

  /// Those that a call must give, in order.
  const std::vector<std::string>& input_names() const;
  const std::vector<std::string>& output_names() const;
  /// Every value that `run` can give, in alphabetical order; those inside of functions, loops and
  /// branches have no name out here.
  std::vector<std::string> value_names() const;
  std::string extra_repr() const override;

  void visit_members(Visitor& visitor) override;
  std::unique_ptr<Module> clone_module() const override { return detail::copy_module(*this); }
  const std::type_info& named_type() const override { return typeid(OnnxModel); }
  detail::Extent named_extent() const override { return {this, sizeof(*this)}; }
  template <class... A>
  decltype(auto) operator()(A&&... arguments) const {
    return call_forward(*this, std::forward<A>(arguments)...);
  }

 private:
  friend OnnxModel load_onnx(const std::string& path, const OnnxLoadOptions& options);
  explicit OnnxModel(std::shared_ptr<const detail::LoadedGraph> graph) : graph_(std::move(graph)) {}
  const detail::LoadedGraph& graph() const;
  ag::TensorList run_graph(const ag::TensorList& inputs, const std::vector<int>& wanted) const;

  std::shared_ptr<const detail::LoadedGraph> graph_;
  std::vector<Parameter> parameters_;
  std::vector<Buffer> buffers_;
};

/// Reads a model in ONNX's format (IR up to 14, opsets 7 to 28 and most of 6), as PyTorch, Keras by
/// tf2onnx and others write it. Integers of all widths are held as int64, half precision as
/// float32, and computed so. Functions of the model become part of its graph; If, Loop and Scan run.
/// Data outside of the file are read from its directory alone. Throws one line, with the node where
/// there is one, if the file is damaged, an operator or attribute is not supported, or a type is
/// not there (strings, complex numbers, 8 bits and less).
OnnxModel load_onnx(const std::string& path, const OnnxLoadOptions& options = {});

}  // namespace nn

#pragma GCC visibility pop
