#pragma once

#include <functional>

#include "autograd/tape/operation.hpp"

namespace autograd::internal {

/// `reference_gradient` for an operation with several outputs. `reference` gives its outputs, of
/// which those without a cotangent may be left undefined.
TensorList reference_gradients(const Call& call,
                               const std::function<TensorList(const TensorList&)>& reference);

/// The tangents of a call's outputs from an unfused formula for it: runs `reference`, as
/// `reference_gradients` does, and walks forward through it. For `jvp` of an operation.
TensorList reference_tangents(const Call& call,
                              const std::function<TensorList(const TensorList&)>& reference);
/// The same for an operation with one output, or for the first of several, which alone has a tangent.
Tensor reference_tangent(const Call& call,
                         const std::function<Tensor(const TensorList&)>& reference);

}  // namespace autograd::internal
