#include "nn/onnx/save.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "autograd/core/version.hpp"
#include "autograd/tape/grad_mode.hpp"
#include "nn/io/files.hpp"
#include "nn/io/internal/replacement.hpp"
#include "nn/module/internal/evaluating.hpp"
#include "nn/onnx/internal/save/table.hpp"

namespace nn {
namespace {

using namespace onnx_out;

constexpr int kOldest = 17, kNewest = 28;

// The version of the format that came with an opset, which old tools ask for.
int format_of(int opset) {
  constexpr int formats[] = {8, 8, 9, 9, 10, 10, 11, 12, 13, 13, 13, 14};
  return formats[opset - kOldest];
}

std::vector<std::string> names_of(std::string_view what, const std::vector<std::string>& given,
                                  std::size_t count) {
  if (!given.empty() && given.size() != count)
    ag::fail("save_onnx", "{}_names must be one for each of {}, got {}", what, count, given.size());
  std::vector<std::string> names = given;
  for (std::size_t i = names.size(); i < count; ++i)
    names.push_back(count == 1 ? std::string(what) : fmt::format("{}_{}", what, i));
  return names;
}

BatchAxes batch_axes(const ag::TensorList& examples, const OnnxSaveOptions& o) {
  if (!o.batch_axes.empty() && (!o.dynamic_batch || o.batch_axes.size() != examples.size()))
    ag::fail("save_onnx",
             "batch_axes must be one for each of {} inputs, with dynamic_batch, got {}",
             examples.size(), o.batch_axes.size());
  BatchAxes axes(examples.size(), -1);
  std::optional<std::int64_t> batch;
  for (std::size_t i = 0; i < examples.size() && o.dynamic_batch; ++i) {
    const ag::Tensor& x = examples[i];
    const auto axis = o.batch_axes.empty() ? std::optional<std::int64_t>(0) : o.batch_axes[i];
    if (!axis) continue;
    axes[i] = *axis < 0 ? *axis + x.ndim() : *axis;
    if (axes[i] < 0 || axes[i] >= x.ndim())
      ag::fail("save_onnx", "input {} must have the batch axis {}, got shape {}", i, *axis,
               x.shape());
    const std::int64_t n = x.size(axes[i]);
    if (n < 1 || batch.value_or(n) != n)
      ag::fail("save_onnx", "examples must have one batch size, at least 1, got shape {} at {}{}",
               x.shape(), i, batch ? fmt::format(" after a batch of {}", *batch) : "");
    batch = n;
  }
  return axes;
}

void check(const ag::TensorList& examples, const OnnxSaveOptions& o) {
  if (o.opset < kOldest || o.opset > kNewest)
    ag::fail("save_onnx", "opset must be in [{}, {}], got {}", kOldest, kNewest, o.opset);
  for (std::size_t i = 0; i < examples.size(); ++i)
    if (!examples[i].defined())
      ag::fail("save_onnx", "examples must be defined, got an undefined tensor at {}", i);
}

// Captured tensors as they are in the state, of which tied ones are one.
void name_captured(Traced& t, const detail::ExportedModel& model) {
  std::map<const void*, const NamedTensor*> known;
  for (const NamedTensor& n : model.state)
    if (n.tensor.numel() > 0) known.emplace(n.tensor.raw(), &n);
  const auto kind_of = [&](const std::string& name) {
    const bool buffer =
        std::ranges::any_of(*model.buffers, [&](auto& b) { return b.name == name; });
    return buffer ? "buffer" : "parameter";
  };
  for (Value& v : t.values) {
    if (v.source != ag::Recording::Source::captured || v.elements[0].numel() == 0) continue;
    const auto at = known.find(v.elements[0].raw());
    if (model.buffers) v.kind = "constant";
    if (at == known.end()) continue;
    if (model.buffers) v.kind = kind_of(at->second->name);
    v.name = at->second->name;
    v.elements = {at->second->tensor};
    v.shape = dims(at->second->tensor.shape());
  }
}

onnx::GraphProto graph_of(const Traced& t, const BatchAxes& axes, const OnnxSaveOptions& o) {
  Graph graph(o.opset);
  const auto inputs = names_of("input", o.input_names, axes.size());
  const auto outputs = names_of("output", o.output_names, t.results.size());
  std::set<std::string> taken;
  const auto take = [&](const std::string& name) {
    if (name.empty() || !taken.insert(name).second)
      ag::fail("save_onnx", "names of inputs, outputs and parameters must differ, got '{}' twice",
               name);
    graph.reserve(name);
  };
  for (const Value& v : t.values)
    if (!v.name.empty()) take(v.name);
  for (const auto& name : inputs) take(name);
  for (const auto& name : outputs) take(name);
  Translation translation(graph, t);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    graph.input(inputs[i], t.values[i].dtype, t.values[i].shape);
    translation.name_argument(i, inputs[i]);
  }
  const auto batched = std::ranges::find_if(axes, [](auto a) { return a >= 0; });
  if (batched != axes.end())
    graph.batch_from(inputs[static_cast<std::size_t>(batched - axes.begin())], *batched);
  translation.run();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Operand& r = t.results[i];
    graph.output(outputs[i], translation.operand(r), t.values[r.value].dtype, r.shape);
  }
  return graph.finish();
}

onnx::ModelProto model_of(onnx::GraphProto graph, const OnnxSaveOptions& o) {
  onnx::ModelProto model;
  model.set_ir_version(format_of(o.opset));
  model.set_producer_name("xgrad");
  model.set_producer_version(std::string(ag::version()));
  auto* opset = model.add_opset_import();
  opset->set_domain("");
  opset->set_version(o.opset);
  graph.set_name("model");
  model.mutable_graph()->Swap(&graph);
  for (const auto& [key, value] : o.metadata) {
    auto* entry = model.add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }
  return model;
}

// Moves large initializers into a file beside the model, each from a multiple of 4096 on, so that
// it can be mapped.
void move_outside(onnx::ModelProto& model, const std::string& path, detail::Replacement& file) {
  constexpr std::size_t least = 1024, page = 4096;
  std::size_t written = 0;
  for (auto& t : *model.mutable_graph()->mutable_initializer()) {
    const std::string& bytes = t.raw_data();
    if (bytes.size() < least) continue;
    const std::string gap((page - written % page) % page, '\0');
    file.write(gap);
    file.write(bytes);
    const auto say = [&](const char* key, const std::string& value) {
      auto* entry = t.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    say("location", std::filesystem::path(path).filename().string());
    say("offset", std::to_string(written + gap.size()));
    say("length", std::to_string(bytes.size()));
    written += gap.size() + bytes.size();
    t.set_data_location(onnx::TensorProto::EXTERNAL);
    t.clear_raw_data();
  }
}

}  // namespace

void detail::save_onnx(const ExportedModel& model, const ag::TensorList& examples,
                       const std::string& path, const OnnxSaveOptions& options) {
  check_path(path);
  check(examples, options);
  const BatchAxes axes = batch_axes(examples, options);
  Traced traced;
  {
    const detail::Evaluating evaluating(model.module);
    const ag::NoGrad off;
    traced = trace(model.forward, examples, axes);
  }
  name_captured(traced, model);
  onnx::ModelProto proto = model_of(graph_of(traced, axes, options), options);
  Replacement file(path);
  std::optional<Replacement> data;
  if (options.external_data) move_outside(proto, path + ".data", data.emplace(path + ".data"));
  constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();
  if (proto.ByteSizeLong() > most)
    ag::fail("save_onnx", "a file must be smaller than 2 GiB, got {} bytes; set external_data",
             proto.ByteSizeLong());
  file.write(proto.SerializeAsString());
  if (data) data->commit();
  file.commit();
}

}  // namespace nn
