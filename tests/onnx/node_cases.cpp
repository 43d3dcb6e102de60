#include "tests/onnx/node_cases.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/tensor_proto.hpp"
#include "nn/onnx/load.hpp"

namespace fs = std::filesystem;
namespace ag = autograd;

namespace node_cases {
namespace {

template <class Proto>
Proto parsed(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  Proto proto;
  if (!proto.ParseFromIstream(&file)) throw std::runtime_error("no such message: " + path.string());
  return proto;
}

ag::Tensor tensor(const fs::path& path) {
  return nn::interpreter::tensor_of(parsed<onnx::TensorProto>(path), path.parent_path());
}

bool is_close(double got, double wanted) {
  if (std::isnan(wanted)) return std::isnan(got);
  if (std::isinf(wanted)) return got == wanted;
  return std::abs(got - wanted) <= 1e-7 + 1e-3 * std::abs(wanted);
}

std::string difference(const ag::Tensor& got, const ag::Tensor& wanted) {
  if (got.shape() != wanted.shape())
    return fmt::format("shape {} instead of {}", got.shape(), wanted.shape());
  if (got.dtype() != wanted.dtype())
    return fmt::format("{} instead of {}", ag::name(got.dtype()), ag::name(wanted.dtype()));
  const auto g = got.to(ag::float64).to_vector<double>(),
             w = wanted.to(ag::float64).to_vector<double>();
  for (std::size_t i = 0; i < g.size(); ++i)
    if (!is_close(g[i], w[i])) return fmt::format("element {} is {} instead of {}", i, g[i], w[i]);
  return {};
}

std::string difference(const nn::OnnxModel& model, const onnx::GraphProto& graph,
                       const fs::path& set) {
  nn::NamedTensors inputs;
  for (int i = 0; i < graph.input_size(); ++i) {
    const fs::path path = set / fmt::format("input_{}.pb", i);
    if (fs::exists(path)) inputs.emplace(graph.input(i).name(), tensor(path));
  }
  const nn::NamedTensors outputs = model.run(inputs);
  for (int i = 0; i < graph.output_size(); ++i) {
    const fs::path path = set / fmt::format("output_{}.pb", i);
    if (!fs::exists(path)) continue;
    const std::string& name = graph.output(i).name();
    if (const std::string d = difference(outputs.at(name), tensor(path)); !d.empty())
      return fmt::format("{}: {}", name, d);
  }
  return {};
}

}  // namespace

Outcome run(const std::string& directory) {
  Outcome outcome{.name = fs::path(directory).filename(), .operators = {}, .error = {}};
  const std::string path = directory + "/model.onnx";
  const auto proto = parsed<onnx::ModelProto>(path);
  for (const auto& node : proto.graph().node()) outcome.operators.insert(node.op_type());
  try {
    const ag::NoGrad no_grad;
    ag::manual_seed(1);
    const nn::OnnxModel model = nn::load_onnx(path);
    for (const auto& entry : fs::directory_iterator(directory)) {
      if (!entry.is_directory()) continue;
      outcome.error = difference(model, proto.graph(), entry.path());
      if (!outcome.error.empty()) {
        outcome.wrong = true;
        return outcome;
      }
    }
  } catch (const std::exception& e) {
    outcome.error = e.what();
    if (outcome.error.starts_with(path)) outcome.error.erase(0, path.size() + 2);
  }
  return outcome;
}

std::vector<Outcome> run_all(const std::string& directory) {
  std::vector<std::string> cases;
  for (const auto& entry : fs::directory_iterator(directory))
    if (fs::exists(entry.path() / "model.onnx")) cases.push_back(entry.path());
  std::sort(cases.begin(), cases.end());
  std::vector<Outcome> outcomes;
  for (const std::string& one : cases) outcomes.push_back(run(one));
  return outcomes;
}

}  // namespace node_cases
