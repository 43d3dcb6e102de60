#pragma once

#include <functional>

#include "autograd/core/tensor.hpp"

/// The line search of LBFGS.
namespace nn::optim::detail {

namespace ag = autograd;

double dot(const ag::Tensor& a, const ag::Tensor& b);

/// The place t along a direction: the loss, its gradient, and its slope along the direction.
struct Trial {
  double t, loss;
  ag::Tensor gradient;
  double slope;
};
using Along = std::function<Trial(double t)>;

/// A place near which the loss has fallen in proportion and its slope to a tenth (strong Wolfe
/// conditions with 1e-4 and 0.9), from `start` at 0 and with the first guess `t`, in up to
/// `max_trials` after it; `length` is the largest element of the direction.
Trial strong_wolfe(const Along& along, const Trial& start, double t, double length,
                   std::int64_t max_trials);

}  // namespace nn::optim::detail
