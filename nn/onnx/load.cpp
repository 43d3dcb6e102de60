#include "nn/onnx/load.hpp"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <climits>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "autograd/autograd.hpp"
#include "nn/data/readers/input_file.hpp"
#include "nn/onnx/internal/load/builder.hpp"

namespace nn {

namespace detail {
/// What copies of a model share.
struct LoadedGraph {
  interpreter::Built built;
  std::vector<std::string> parameter_names, buffer_names, input_names, output_names;
  std::vector<std::size_t> place;   // of each held tensor among parameters, then buffers
  std::optional<ag::DType> floats;  // of all weights in the file
  bool check_shapes;
};
}  // namespace detail

namespace {

using interpreter::Port;

bool is_text(const std::string& name) { return ag::quoted(name, 1'000'000) == name; }

// As it may stand in a state dict and its files.
std::string valid_name(const std::string& name, std::map<std::string, int>& taken) {
  std::string valid = is_text(name) ? name : ag::quoted(name, 1000);
  if (valid.empty() || valid == "__metadata__") valid = "_" + valid;
  while (taken[valid]++ > 0) valid += "_";
  return valid;
}

onnx::ModelProto parsed(const std::string& path) {
  const std::string bytes = data::InputFile(path).read_all();
  if (bytes.size() > INT_MAX)
    ag::fail(path, "must be less than 2 GiB, with larger weights in files beside it, got {} bytes",
             bytes.size());
  onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_graph())
    ag::fail(path, "must be a model in ONNX's format, got {} bytes that are none", bytes.size());
  return model;
}

// The one dtype that the floats among them have, if they have one.
std::optional<ag::DType> common_floats(const std::vector<ag::Tensor>& tensors) {
  std::optional<ag::DType> common;
  for (const ag::Tensor& t : tensors) {
    if (!ag::is_floating(t.dtype())) continue;
    if (common.value_or(t.dtype()) != t.dtype()) return std::nullopt;
    common = t.dtype();
  }
  return common;
}

// Sizes are those of the file where it fixes them.
void check(const Port& port, const ag::Tensor& x, bool shapes, const interpreter::Mode& mode) {
  const auto where = [&] { return fmt::format("input \"{}\"", ag::quoted(port.name)); };
  if (port.dtype && x.dtype() != mode.dtype(*port.dtype))
    ag::fail(where(), "must be {}, got {}", ag::name(mode.dtype(*port.dtype)), ag::name(x.dtype()));
  if (!port.sizes || !shapes) return;
  bool fits = port.sizes->size() == x.shape().size();
  for (std::size_t i = 0; fits && i < x.shape().size(); ++i)
    fits = (*port.sizes)[i] < 0 || (*port.sizes)[i] == x.shape()[i];
  if (fits) return;
  std::string wanted;
  for (const std::int64_t n : *port.sizes)
    wanted += (wanted.empty() ? "" : ", ") + (n < 0 ? "any" : std::to_string(n));
  ag::fail(where(), "must have shape ({}), got {}; {{.check_shapes = false}} runs it as it is",
           wanted, x.shape());
}

ag::Tensor tensor_of(const interpreter::Value& value, const std::string& name) {
  if (!value.tensor.defined())
    ag::fail(fmt::format("value \"{}\"", ag::quoted(name)), "must be a tensor, got {}",
             value.sequence ? "a sequence" : "nothing");
  return value.tensor;
}

}  // namespace

const detail::LoadedGraph& OnnxModel::graph() const {
  check_not_moved("OnnxModel");
  return *graph_;
}

void OnnxModel::visit_members(Visitor& visitor) {
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    visitor(graph().parameter_names[i], parameters_[i]);
  for (std::size_t i = 0; i < buffers_.size(); ++i) visitor(graph().buffer_names[i], buffers_[i]);
}

const std::vector<std::string>& OnnxModel::input_names() const { return graph().input_names; }
const std::vector<std::string>& OnnxModel::output_names() const { return graph().output_names; }

std::vector<std::string> OnnxModel::value_names() const {
  std::vector<std::string> names;
  for (const auto& [name, slot] : graph().built.graph->names) names.push_back(name);
  return names;
}

std::string OnnxModel::extra_repr() const {
  const auto joined = [](const std::vector<std::string>& names) {
    return fmt::format("{}", fmt::join(names, ", "));
  };
  return fmt::format("{} -> {}, nodes={}", joined(input_names()), joined(output_names()),
                     graph().built.graph->steps.size());
}

// `inputs` are those of the graph; undefined ones are left to the file.
ag::TensorList OnnxModel::run_graph(const ag::TensorList& inputs,
                                    const std::vector<int>& wanted) const {
  std::vector<ag::Tensor> held;
  for (const std::size_t i : graph().place)
    held.push_back(i < parameters_.size() ? ag::Tensor(parameters_[i])
                                          : ag::Tensor(buffers_[i - parameters_.size()]));
  interpreter::Mode mode{.training = is_training()};
  if (const auto now = common_floats(held); now && graph().floats)
    mode.file_floats = *graph().floats, mode.floats = *now;
  interpreter::Values given;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) check(graph().built.inputs[i], inputs[i], graph().check_shapes, mode);
    given.emplace_back(inputs[i]);
  }
  try {
    ag::TensorList results;
    const auto values = graph().built.graph->run(given, {}, held, mode, wanted);
    for (std::size_t i = 0; i < values.size(); ++i)
      results.push_back(tensor_of(values[i], fmt::format("number {}", i)));
    return results;
  } catch (ag::Error& e) {
    if (ag::Error::Layer layer = e.layer(); !layer.module && !layer.type.empty()) {
      layer.module = this;
      e.set_layer(std::move(layer));
    }
    throw;
  }
}

ag::TensorList OnnxModel::forward(const ag::TensorList& inputs) const {
  if (inputs.size() != input_names().size())
    ag::fail("OnnxModel", "there must be {} inputs ({}), got {}", input_names().size(),
             fmt::join(input_names(), ", "), inputs.size());
  ag::TensorList all;
  for (std::size_t i = 0, next = 0; i < graph().built.inputs.size(); ++i)
    all.push_back(graph().built.inputs[i].required ? inputs[next++] : ag::Tensor());
  return run_graph(all, graph().built.graph->outputs);
}

ag::Tensor OnnxModel::forward(const ag::Tensor& x) const {
  if (output_names().size() != 1)
    ag::fail("OnnxModel",
             "must have one output for this call, got {}; call it with a TensorList or run() it",
             fmt::join(output_names(), ", "));
  return forward(ag::TensorList{x})[0];
}

NamedTensors OnnxModel::run(const NamedTensors& inputs,
                            const std::vector<std::string>& names) const {
  const auto& ports = graph().built.inputs;
  ag::TensorList all;
  std::size_t used = 0;
  for (const Port& port : ports) {
    const auto found = inputs.find(port.name);
    used += found != inputs.end();
    if (found == inputs.end() && port.required)
      ag::fail("OnnxModel", "inputs must be {}, got none named {}", fmt::join(input_names(), ", "),
               ag::quoted(port.name));
    all.push_back(found == inputs.end() ? ag::Tensor() : found->second);
  }
  if (used != inputs.size())
    for (const auto& given : inputs)
      if (std::none_of(ports.begin(), ports.end(),
                       [&](const Port& p) { return p.name == given.first; }))
        ag::fail("OnnxModel", "inputs must be {}, got one named {}", fmt::join(input_names(), ", "),
                 ag::quoted(given.first));
  const auto& wanted = names.empty() ? output_names() : names;
  std::vector<int> slots;
  for (const std::string& name : wanted) {
    const auto found = graph().built.graph->names.find(name);
    if (found == graph().built.graph->names.end())
      ag::fail("OnnxModel", "there must be a value of that name, got \"{}\"", ag::quoted(name));
    slots.push_back(found->second);
  }
  const ag::TensorList values = run_graph(all, slots);
  NamedTensors results;
  for (std::size_t i = 0; i < wanted.size(); ++i) results.emplace(wanted[i], values[i]);
  return results;
}

OnnxModel load_onnx(const std::string& path, const OnnxLoadOptions& options) {
  auto loaded = std::make_shared<detail::LoadedGraph>();
  try {
    loaded->built = interpreter::build(parsed(path), std::filesystem::path(path).parent_path(),
                                       options.is_parameter);
  } catch (const ag::Error& e) {
    if (std::string_view(e.what()).starts_with(path)) throw;
    ag::fail(path, "{}", e.what());
  }
  loaded->check_shapes = options.check_shapes;
  for (const Port& input : loaded->built.inputs)
    if (input.required) loaded->input_names.push_back(input.name);
  for (const Port& output : loaded->built.outputs) loaded->output_names.push_back(output.name);
  const auto held = std::exchange(loaded->built.held, {});
  std::map<std::string, int> taken;
  const auto trained = std::count_if(held.begin(), held.end(), [](auto& h) { return h.trained; });
  std::vector<ag::Tensor> tensors;
  for (const auto& h : held) tensors.push_back(h.values);
  loaded->floats = common_floats(tensors);
  OnnxModel model(loaded);
  for (const auto& [name, values, is_trained] : held) {
    auto& names = is_trained ? loaded->parameter_names : loaded->buffer_names;
    loaded->place.push_back(names.size() + (is_trained ? 0 : static_cast<std::size_t>(trained)));
    names.push_back(valid_name(name, taken));
    if (is_trained)
      model.parameters_.emplace_back(values);
    else
      model.buffers_.emplace_back(values);
  }
  model.train(false);
  return model;
}

}  // namespace nn
