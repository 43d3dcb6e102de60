#pragma once

#include <string>
#include <vector>

#include "autograd/formulas/code.hpp"
#include "autograd/kernels/elementwise.hpp"

#pragma GCC visibility push(default)  // for the tests

namespace autograd::kernels {

/// What a kernel of elementwise.def does, as a list of operations.
struct RowListing {
  ElementwiseRun run;
  std::string name;
  bool wide;  ///< float64
  int operands;
  /// Adds the operations to `Code::current()`; operands are values of it, in the order of the
  /// kernel's, 0 for none. Returns the result.
  std::uint32_t (*add)(const std::uint32_t* operands);
};

/// Those of all kernels that do what a list can.
const std::vector<RowListing>& row_listings();
/// That of one kernel, or null.
const RowListing* find_listing(ElementwiseRun run);

}  // namespace autograd::kernels

#pragma GCC visibility pop
