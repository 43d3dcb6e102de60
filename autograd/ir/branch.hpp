#pragma once

#include <array>

#include "autograd/ir/body.hpp"

namespace autograd::replay {

/// What `condition`, one bool, chooses of two functions of the arguments: the first if it is true.
/// Both are recorded, with results of the same shapes and dtypes, and one runs. One operation,
/// whose gradient is such a choice again.
TensorList choose(std::string_view name, const Tensor& condition,
                  const std::array<Body::Function, 2>& functions, const TensorList& arguments);

/// Throws where the results of both would not be alike.
void check_alike(std::string_view name, const std::vector<TensorSpec>& a,
                 const std::vector<TensorSpec>& b);

}  // namespace autograd::replay
