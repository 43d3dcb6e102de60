#include "nn/onnx/load.hpp"

#include <onnx/onnx_pb.h>
