#pragma once

#include "nn/module/exported.hpp"
#include "nn/training/internal/wire.hpp"

namespace nn::detail {

/// A recorded model as TensorFlow's GraphDef, with the names of its state; an operation stands with
/// the layer whose parameter it uses. Internal.
/// Source: tensorflow/core/framework/{graph,node_def,attr_value,tensor_shape}.proto
Message graph_message(const ExportedModel& model, const ag::TensorList& examples);

}  // namespace nn::detail
