#pragma once

/// Every built-in operation. All are differentiable to any order unless they say otherwise,
/// broadcast as NumPy does where they take several tensors, accept float32 and float64 (int64 and
/// bool where it says so), and throw `Error` on operands of different dtypes. A C++ number takes
/// the tensor's dtype and never changes it.
#include "autograd/fused.hpp"
#include "autograd/indexing.hpp"
#include "autograd/linalg.hpp"
#include "autograd/movement.hpp"
#include "autograd/pointwise.hpp"
#include "autograd/reductions.hpp"
