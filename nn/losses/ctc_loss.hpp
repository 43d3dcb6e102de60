#pragma once

#include "autograd/ops/neural/ctc_loss.hpp"

#pragma GCC visibility push(default)

namespace nn {

using autograd::ctc_loss;
using autograd::CTCLossOptions;

}  // namespace nn

#pragma GCC visibility pop
