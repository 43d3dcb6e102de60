#pragma once

#include "autograd/core/tensor.hpp"
#include "nn/optim/sgd.hpp"

inline autograd::Tensor leaf() { return autograd::zeros({1}).requires_grad_(); }

/// An optimizer with two groups, the second at half the rate of the first.
struct Fixture {
  nn::optim::SGD optimizer{{{{leaf()}, {.lr = 0.8}}, {{leaf()}, {.lr = 0.4}}}};
};
