#pragma once

#include <fmt/format.h>

#include "autograd/core/recording.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace nn {

/// The norm of gradients, a number. In a function that `compile()` records it is none yet: to use
/// it there throws. A value.
class GradientNorm {
 public:
  GradientNorm(double value) : value_(value) {}  // NOLINT: conversion is the point
  operator double() const {                      // NOLINT
    autograd::detail::refuse_in_trace("the norm that clip_grad_norm_() returns",
                                      "use it outside, or clip outside");
    return value_;
  }

 private:
  double value_;
};

/// Scales all gradients by one factor so that their norm, as if they were one vector, is at most
/// `max_norm` (≥ 0), and returns the norm before. `norm_type` above 0; infinity is the largest
/// absolute value. Tensors without a gradient are skipped. With error_if_nonfinite a NaN or
/// infinite norm throws, else it spreads.
GradientNorm clip_grad_norm_(const autograd::TensorList& parameters, double max_norm,
                             double norm_type = 2.0, bool error_if_nonfinite = false);

/// Limits every element of every gradient to [-clip_value, clip_value]; NaN stays.
void clip_grad_value_(const autograd::TensorList& parameters, double clip_value);

}  // namespace nn

template <>
struct fmt::formatter<nn::GradientNorm> : fmt::formatter<double> {
  auto format(const nn::GradientNorm& norm, fmt::format_context& context) const {
    return fmt::formatter<double>::format(static_cast<double>(norm), context);
  }
};

#pragma GCC visibility pop
