#pragma once

/// Every built-in operation. All are differentiable to any order unless they say otherwise,
/// broadcast as NumPy does where they take several tensors, accept float32 and float64 (int64 and
/// bool where it says so), and throw `Error` on operands of different dtypes. A C++ number takes
/// the tensor's dtype and never changes it.
#include "autograd/elementwise/builtins.hpp"
#include "autograd/ops/indexing/indexing.hpp"
#include "autograd/ops/linalg/distance.hpp"
#include "autograd/ops/linalg/linalg.hpp"
#include "autograd/ops/movement/movement.hpp"
#include "autograd/ops/neural/attention.hpp"
#include "autograd/ops/neural/convolution.hpp"
#include "autograd/ops/neural/ctc_loss.hpp"
#include "autograd/ops/neural/embedding.hpp"
#include "autograd/ops/neural/fold.hpp"
#include "autograd/ops/neural/interpolate.hpp"
#include "autograd/ops/neural/neural.hpp"
#include "autograd/ops/neural/norms.hpp"
#include "autograd/ops/neural/pooling.hpp"
#include "autograd/ops/neural/positions.hpp"
#include "autograd/ops/neural/recurrent.hpp"
#include "autograd/ops/reductions/counts.hpp"
#include "autograd/ops/reductions/numeric.hpp"
#include "autograd/ops/reductions/reductions.hpp"
#include "autograd/ops/reductions/unique.hpp"
