#pragma once

/// Everything of the component onnx in one include; programs link xgrad::onnx.
#include "nn/onnx/load.hpp"
#include "nn/onnx/save.hpp"
