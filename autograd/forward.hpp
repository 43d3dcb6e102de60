#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/functional.hpp"

#pragma GCC visibility push(default)

/// Derivatives along directions: what `jvp` gives, for many of them.
namespace autograd {

/// f at x: its value there, off the tape, and the linear function v ↦ J v, which does not call f
/// again: it walks forward over the graph of f, which it holds. For one thread at a time; v and
/// result as in `jvp`.
std::pair<Tensor, TensorFunction> linearize(const TensorFunction& f, const Tensor& x);
/// The same for a function of several tensors: one v per input.
std::pair<Tensor, TensorsFunction> linearize(const TensorsFunction& f, const TensorList& x);

/// `jacobian`, column by column, whatever the sizes: for functions with few inputs and many
/// outputs. Recorded and refused as `jvp` is.
Tensor jacfwd(const TensorFunction& f, const Tensor& x);
TensorList jacfwd(const TensorsFunction& f, const TensorList& x);

/// Names of the operations that made `y`, on the tape, and that have no rule for tangents: `jvp` and
/// its kin take their gradient twice, which is right and slower. Those of a program's own `Function`
/// are among them.
std::vector<std::string> operations_without_jvp(const Tensor& y);

}  // namespace autograd

#pragma GCC visibility pop
