#pragma once

#include "autograd/tensor.hpp"

namespace nn {

/// Scales all gradients by one factor so that their norm, as if they were one vector, is at most
/// `max_norm` (≥ 0), and returns the norm before. `norm_type` above 0; infinity is the largest
/// absolute value. Tensors without a gradient are skipped. With error_if_nonfinite a NaN or
/// infinite norm throws, else it spreads. In a function that `compile()` records it returns NaN.
double clip_grad_norm_(const autograd::TensorList& parameters, double max_norm,
                       double norm_type = 2.0, bool error_if_nonfinite = false);

/// Limits every element of every gradient to [-clip_value, clip_value]; NaN stays.
void clip_grad_value_(const autograd::TensorList& parameters, double clip_value);

}  // namespace nn
