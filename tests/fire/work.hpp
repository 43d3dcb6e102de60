#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/registered.hpp"

namespace fire {

/// Something that a program does, to be hit by failures.
struct Attempt {
  /// Does it, always from the same state, and gives what came of it, as bytes.
  std::function<std::string()> run;
  /// Throws if a failure has harmed what it must not.
  std::function<void()> unharmed = [] {};
};
struct Work {
  std::string name;
  std::function<Attempt()> begin;  ///< everything it needs lives in the attempt
  bool threads = false;            ///< tensors made on one thread end on another
};
/// Those of a file: `const Works here(training);`.
using Works = Registered<std::vector<Work> (*)()>;

}  // namespace fire
