#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>

#include "nn/onnx/internal/load/elements.hpp"

namespace nn::interpreter {

/// The elements of a TensorProto: integers as int64, half precision as float32. External data are
/// read from files beside the model, by names that do not leave its directory. Throws, without
/// taking memory first, unless there are as many bytes as the shape says.
Tensor tensor_of(const onnx::TensorProto& proto, const std::filesystem::path& directory);

}  // namespace nn::interpreter
