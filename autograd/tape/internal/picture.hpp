#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// A recorded graph as boxes and arrows. Internal.
namespace autograd::internal {

struct Box {
  enum Kind { result, leaf, constant };
  std::string label;  // lines
  Kind kind;
};
struct Arrow {
  std::size_t from, to;  // boxes
  bool back;             // a gradient comes back along it
};
/// Boxes stand before those that use them, arrows in the order of the boxes where they end.
struct Picture {
  std::vector<Box> boxes{};
  std::vector<Arrow> arrows{};
};

std::string svg_of(const Picture& picture);

}  // namespace autograd::internal
