#pragma once

#include <string_view>

#include "nn/losses/losses.hpp"

/// What the losses share.
namespace nn::detail {

/// Throws unless the input is float32 or float64.
void check_floating(std::string_view op, const ag::Tensor& input);
/// The same, and unless the target is of its shape and dtype.
void check_pair(std::string_view op, const ag::Tensor& input, const ag::Tensor& target);
ag::Tensor reduced(const ag::Tensor& loss, Reduction reduction);

}  // namespace nn::detail
