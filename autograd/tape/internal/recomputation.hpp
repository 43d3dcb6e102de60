#pragma once

/// What checkpoint() and operations with an effect share. Not installed for users.
namespace autograd::internal {

/// On this thread runs the second pass of a `checkpoint()`: what an operation does on the side, as
/// updating running statistics, it has done in the first.
extern constinit thread_local bool recomputing;

}  // namespace autograd::internal
