// Damaged models for load_onnx: those of tests/onnx/fixtures and, where they are installed, ONNX's
// published cases. What is taken is run, too, where neither its nodes nor its sizes ask for much.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "autograd/autograd.hpp"
#include "nn/onnx/load.hpp"
#include "tests/nn/fuzz/fuzz.hpp"
#include "tests/nn/scratch.hpp"
#include "tests/source_dir.hpp"

namespace ag = autograd;
namespace fs = std::filesystem;

namespace fuzz {
namespace {

std::vector<std::string> models() {
  std::vector<std::string> files;
  const auto take = [&](const fs::path& path) {
    if (fs::file_size(path) < 12'000) files.push_back(read_bytes(path));
  };
  for (const auto& entry : fs::directory_iterator(XGRAD_SOURCE_DIR "/tests/onnx/fixtures"))
    if (entry.path().extension() == ".onnx") take(entry.path());
  const fs::path published = "/usr/share/libonnx-testdata/data/node";
  if (fs::exists(published))
    for (const auto& entry : fs::directory_iterator(published)) take(entry.path() / "model.onnx");
  std::sort(files.begin(), files.end());
  return files;
}

// Whether results may be much larger than inputs, or iterations many.
bool is_costly(const onnx::GraphProto& graph) {
  static const std::set<std::string, std::less<>> costly{"Loop",
                                                         "Scan",
                                                         "If",
                                                         "Pad",
                                                         "Tile",
                                                         "Expand",
                                                         "ConstantOfShape",
                                                         "Range",
                                                         "Resize",
                                                         "Upsample",
                                                         "OneHot",
                                                         "RandomNormal",
                                                         "RandomUniform",
                                                         "CenterCropPad",
                                                         "MaxUnpool",
                                                         "HannWindow",
                                                         "HammingWindow",
                                                         "BlackmanWindow",
                                                         "Col2Im",
                                                         "AffineGrid",
                                                         "SequenceMap"};
  return std::any_of(graph.node().begin(), graph.node().end(), [](const auto& node) {
    const auto is_large = [](std::int64_t n) { return n > 32 || n < -32; };
    return costly.contains(node.op_type()) ||
           std::any_of(node.attribute().begin(), node.attribute().end(), [&](const auto& a) {
             return is_large(a.i()) || std::any_of(a.ints().begin(), a.ints().end(), is_large);
           });
  });
}

// An input of the declared type and sizes, or undefined if it were large.
ag::Tensor input(const onnx::ValueInfoProto& info) {
  const auto& type = info.type().tensor_type();
  ag::Shape shape;
  std::int64_t count = 1;
  for (const auto& d : type.shape().dim()) {
    const std::int64_t n = d.has_dim_value() ? d.dim_value() : 2;
    if (n < 0 || n > 4096 || count * std::max<std::int64_t>(n, 1) > 4096 || shape.size() > 8)
      return {};
    count *= std::max<std::int64_t>(n, 1);
    shape.push_back(n);
  }
  switch (type.elem_type()) {
    case onnx::TensorProto::FLOAT:
      return ag::ones(shape);
    case onnx::TensorProto::DOUBLE:
      return ag::ones(shape, ag::float64);
    case onnx::TensorProto::BOOL:
      return ag::ones(shape, ag::boolean);
    default:
      return ag::ones(shape, ag::int64);
  }
}

void run(const nn::OnnxModel& model, const std::string& path) {
  onnx::ModelProto proto;
  if (!proto.ParseFromString(read_bytes(path)) || is_costly(proto.graph())) return;
  if (proto.functions_size() > 0) return;
  nn::NamedTensors inputs;
  for (const auto& info : proto.graph().input()) {
    const ag::Tensor x = input(info);
    if (!x.defined()) return;
    inputs.emplace(info.name(), x);
  }
  (void)model.run(inputs);
}

}  // namespace

std::vector<Target> targets() {
  return {{"load_onnx", models(), [](const std::string& path, std::uint64_t choice) {
             nn::OnnxModel model = nn::load_onnx(path);
             if (choice % 4 == 0) model.train();
             run(model, path);
             ag::reset_peak_memory();  // what a model needs when it runs is its own affair
           }}};
}

}  // namespace fuzz
