#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// Frames with titles around parts of a drawing: what its thread records between begin() and end()
/// stands in one, which may stand within another. What parts take in stays outside.
///
///     ag::Frames frames;
///     frames.begin("layer", {x});
///     const ag::Tensor h = ag::tanh(ag::matmul(x, w));
///     frames.end();
///     file << ag::to_svg(ag::sum(h), {{"w", w}}, frames);
///
/// For one thread; it keeps the inputs alive.
class Frames {
 public:
  struct Frame {
    std::string title;
    TensorList inputs;
    /// Of what was recorded in it: from what comes after `first` to `last`, kOpen until the end.
    std::uint64_t first, last;
  };
  static constexpr std::uint64_t kOpen = ~std::uint64_t{0};

  void begin(std::string title, const TensorList& inputs = {});
  /// Throws without a begin().
  void end();
  /// Outer ones before those in them.
  const std::vector<Frame>& all() const noexcept { return frames_; }

 private:
  std::vector<Frame> frames_;
};

/// `to_svg` with frames (autograd/tape/graph_svg.hpp). Throws as it does, and if a frame has no end.
std::string to_svg(const Tensor& output, const std::vector<std::pair<std::string, Tensor>>& names,
                   const Frames& frames);

}  // namespace autograd

#pragma GCC visibility pop
