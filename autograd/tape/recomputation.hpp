#pragma once

#pragma GCC visibility push(default)

namespace autograd {

/// True on a thread that runs the second pass of a `checkpoint()`: what a function does on the side,
/// such as updating running statistics, it has done in the first.
bool recomputing() noexcept;

/// While one lives, nothing that this thread calls is kept to run again in a walk back: `checkpoint()`
/// and compiled functions run as they are written, and loops are recorded step by step. For a scope in
/// which what functions capture is not what it will be then.
class NoRecomputation {
 public:
  NoRecomputation() noexcept;
  ~NoRecomputation();
  NoRecomputation(const NoRecomputation&) = delete;
  NoRecomputation& operator=(const NoRecomputation&) = delete;

 private:
  bool previous_;
};
/// Whether this thread is in such a scope.
bool recomputation_off() noexcept;

}  // namespace autograd

#pragma GCC visibility pop
