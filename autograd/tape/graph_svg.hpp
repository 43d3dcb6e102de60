#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// The picture of `to_dot` (autograd/tape/graph.hpp) as an SVG file, drawn without Graphviz, dark where the
/// reader's screen is: what was computed from what, from left to right, with values and gradients of
/// small tensors. For graphs that fit on a page; throws as `to_dot` does.
std::string to_svg(const Tensor& output,
                   const std::vector<std::pair<std::string, Tensor>>& names = {});

}  // namespace autograd

#pragma GCC visibility pop
