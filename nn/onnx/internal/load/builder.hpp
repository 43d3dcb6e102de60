#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "nn/onnx/internal/load/interpreter.hpp"
#include "nn/onnx/internal/load/roles.hpp"

namespace nn::interpreter {

/// A tensor that the model holds.
struct Held {
  std::string name;
  Tensor values;
  bool trained;
};

/// What a graph takes or gives.
struct Port {
  std::string name;
  std::optional<ag::DType> dtype{};
  std::optional<std::vector<std::int64_t>> sizes{};  ///< -1: any
  bool required = true;
};

struct Built {
  std::shared_ptr<const Graph> graph;
  std::vector<Held> held;
  std::vector<Port> inputs, outputs;
};

/// Checks and binds a whole model. Throws one line for what is damaged or not supported.
Built build(const onnx::ModelProto& model, const std::filesystem::path& directory,
            const Roles::Choice& choice);

}  // namespace nn::interpreter
