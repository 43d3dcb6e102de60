#pragma once

#include <functional>
#include <utility>

#include "autograd/functional.hpp"

#pragma GCC visibility push(default)

/// Derivatives along directions: what `jvp` gives, for many of them.
namespace autograd {

/// f at x: its value there, off the tape, and the linear function v ↦ J v, which does not call f
/// again. It holds the graph of f, and is for one thread at a time; v and result as in `jvp`.
std::pair<Tensor, TensorFunction> linearize(const TensorFunction& f, const Tensor& x);
/// The same for a function of several tensors: one v per input.
std::pair<Tensor, TensorsFunction> linearize(const TensorsFunction& f, const TensorList& x);

/// `jacobian`, column by column, whatever the sizes: for functions with few inputs and many
/// outputs. Throws, as `jvp` does, where a gradient leaves the tape.
Tensor jacfwd(const TensorFunction& f, const Tensor& x);
TensorList jacfwd(const TensorsFunction& f, const TensorList& x);

}  // namespace autograd

#pragma GCC visibility pop
