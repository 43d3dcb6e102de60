#pragma once

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Gradients, by a walk back over the tape.
namespace autograd {

/// Options of `grad`.
struct GradOptions {
  /// Cotangents, one per output; none: every output has one element, and its cotangent is 1.
  TensorList grad_outputs{};
  bool retain_graph = false;  ///< keep saved values, so that the graph can be walked again
  bool create_graph = false;  ///< record the walk (implies retain_graph)
  /// An input that the outputs do not depend on gets an undefined tensor instead of an error.
  bool allow_unused = false;
};

/// Gradients of the sum of `outputs` (weighted by grad_outputs) with respect to `inputs`, which may
/// be leaves or intermediate results. Nothing is accumulated into `.grad()`. Calls on several
/// threads, and a call from a hook or a gradient within another, may share leaves and `inputs`;
/// what lies between is walked by one call at a time.
TensorList grad(const TensorList& outputs, const TensorList& inputs,
                const GradOptions& options = {});

/// Accumulates the gradients of several outputs into the leaves in one walk.
void backward(const TensorList& outputs, const TensorList& grad_outputs = {},
              BackwardOptions options = {});

}  // namespace autograd

#pragma GCC visibility pop
