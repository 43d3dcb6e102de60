#include "nn/onnx/save.hpp"

#include <onnx/onnx_pb.h>
