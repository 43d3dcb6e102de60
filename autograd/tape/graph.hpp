#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// The recorded graph that ends in `output` as Graphviz text: each operation with its name and
/// output shape, each leaf and constant; values and gradients of small tensors where they are still
/// known (named tensors, saved values, leaves, retained gradients). Black arrows are the forward
/// pass, grey dashed ones the way back of the gradients. `names` labels tensors, as in
/// `to_dot(loss, {{"w", w}, {"b", b}})`. Call it before backward() releases the graph, or after one
/// with retain_graph; else it throws.
std::string to_dot(const Tensor& output,
                   const std::vector<std::pair<std::string, Tensor>>& names = {});

}  // namespace autograd

#pragma GCC visibility pop
