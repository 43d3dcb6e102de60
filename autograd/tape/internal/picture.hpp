#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// A recorded graph as boxes and arrows. Internal.
namespace autograd::internal {

constexpr std::size_t kNoFrame = static_cast<std::size_t>(-1);

struct Box {
  enum Kind { result, leaf, constant };
  std::string label;  // lines
  Kind kind;
  std::size_t frame = kNoFrame;
};
struct Arrow {
  std::size_t from, to;  // boxes
  bool back;             // a gradient comes back along it
};
/// A frame around boxes and other frames, which stand after it.
struct PictureFrame {
  std::string title;
  std::size_t parent;
};
/// Boxes stand before those that use them, arrows in the order of the boxes where they end.
struct Picture {
  std::vector<Box> boxes{};
  std::vector<Arrow> arrows{};
  std::vector<PictureFrame> frames{};
};

std::string svg_of(const Picture& picture);

}  // namespace autograd::internal
