#pragma once

#include <string>

#include "autograd/tensor.hpp"

namespace autograd {

/// The recorded graph that ends in `output` as Graphviz text: each operation with its name and output
/// shape, each leaf; values and gradients of small tensors where they are still known (leaves, saved
/// values, retained gradients). Black arrows are the forward pass, grey dashed ones the way back of the
/// gradients. Call it before backward() releases the graph, or after one with retain_graph.
std::string to_dot(const Tensor& output);

}  // namespace autograd
