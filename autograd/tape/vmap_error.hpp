#pragma once

#include "autograd/core/errors.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// A function cannot run for all samples of a `vmap` at once: it reads elements of a sample, or
/// changes something outside.
class VmapError : public Error {
 public:
  using Error::Error;
};

}  // namespace autograd

#pragma GCC visibility pop
