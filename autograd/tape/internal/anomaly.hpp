#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "autograd/tape/operation.hpp"

/// The part of anomaly mode that the tape and the walk call. Not installed for users.
namespace autograd::internal {

/// The elements of a tensor in short.
struct Range {
  Shape shape;
  DType dtype = float32;
  bool defined = false;
  double min = 0, max = 0;  // of the finite elements
  std::int64_t finite = 0, nan = 0, inf = 0;
};
Range range(const Tensor& t);
std::vector<Range> ranges(const TensorList& tensors);
std::vector<Range> ranges(const Inputs& tensors);

/// Addresses of the calls that led here.
using Frames = std::vector<void*>;
Frames call_stack();
/// The innermost of them outside the library: "file:line" where there is debug information, else
/// the function or the offset in the program; empty if not even that is known.
std::string place_of(const Frames& frames);

/// What a node remembers of its call in anomaly mode; the caller owns it.
detail::CallRecord* record_call(const Inputs& inputs);
/// Throws if a gradient has a NaN or Inf that the cotangents did not bring.
void check_gradients_anomaly(const Node& node, const detail::CallRecord* call,
                             const std::vector<Range>& cotangents, const TensorList& gradients);

}  // namespace autograd::internal
