#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "nn/module/module.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// What a model computes, as an SVG file: a frame for each call of a layer, titled "hidden (Linear)",
/// with its operations, parameters by name, and arrows forward and back, with the values and gradients of
/// small tensors. `loss` calls the model and returns a tensor of one element; it is run once, and
/// the parameters' gradients are after it what they were before. `names` are those of further
/// tensors.
///
///     file << nn::to_svg(model, [&] { return nn::mse_loss(model(x), y); }, {{"x", x}});
///
/// For models and graphs that fit on a page. Not for several threads on one model.
std::string to_svg(Module& model, const std::function<ag::Tensor()>& loss,
                   const std::vector<std::pair<std::string, ag::Tensor>>& names = {});

}  // namespace nn

#pragma GCC visibility pop
