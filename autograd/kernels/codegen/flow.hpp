#pragma once

#include <vector>

#include "autograd/kernels/codegen/machine.hpp"

namespace autograd::kernels {

/// The operations of a listing for so many registers full of elements at once, in turn, so that one
/// need not wait for another. Constants and single elements are there once.
struct Flow {
  struct Node : simd::Code::Node {
    int input = -1, copy = 0;  // of an operand: which pointer
    std::uint32_t origin = 0;  // in the code
  };
  struct Store {
    std::uint32_t value, position;
    int output, copy;
  };

  /// 1 to kMostCopies copies.
  static constexpr int kMostCopies = 4;
  Flow(const Listing& listing, int copies);

  /// When values are read, one after the other: 2 · (the operation) + 1, or 2 · (the position of a
  /// store); and where those of each value end.
  struct Uses {
    std::vector<std::uint32_t> when{};
    std::vector<std::size_t> end{};
  };
  Uses uses() const;

  std::vector<Node> nodes{1};
  std::vector<Store> stores{};
};

}  // namespace autograd::kernels
