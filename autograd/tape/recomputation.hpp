#pragma once

#pragma GCC visibility push(default)

namespace autograd {

/// True on a thread that runs the second pass of a `checkpoint()`: what a function does on the side,
/// such as updating running statistics, it has done in the first.
bool recomputing() noexcept;

}  // namespace autograd

#pragma GCC visibility pop
