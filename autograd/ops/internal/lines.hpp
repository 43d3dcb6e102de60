#pragma once

#include <cstdint>

#include "autograd/ops/ops.hpp"

/// Tensors seen as lines along one axis. Internal.
namespace autograd::internal {

/// A shape seen from one axis: (outer, n, inner). A 0-d shape is one line of one element.
struct Lines {
  std::int64_t outer = 1, n = 1, inner = 1;
  Lines(const Shape& s, std::int64_t axis) {
    for (std::size_t i = 0; i < s.size(); ++i) {
      if (static_cast<std::int64_t>(i) == axis)
        n = s[i];
      else
        (static_cast<std::int64_t>(i) < axis ? outer : inner) *= s[i];
    }
  }
};

/// `s` with another size of one axis; a 0-d shape stays.
inline Shape with_size(Shape s, std::int64_t axis, std::int64_t n) {
  if (!s.empty()) s[static_cast<std::size_t>(axis)] = n;
  return s;
}

/// How many elements a reduction over `axes` combines into one.
inline std::int64_t reduced_count(std::string_view op, const Tensor& x, const Axes& axes) {
  const auto flags = shapes::axes(op, axes, x.shape());
  std::int64_t n = 1;
  for (std::size_t i = 0; i < flags.size(); ++i)
    if (flags[i]) n *= x.shape()[i];
  return n;
}

/// A tensor with the axes of a reduction joined into one, in tensor operations; at least 1-d.
struct Joined {
  Tensor x;
  std::int64_t axis;
  Shape result;  // the shape after the reduction

  Joined(std::string_view op, const Tensor& whole, const Axes& axes, bool keepdims) {
    const auto flags = shapes::axes(op, axes, whole.shape());
    result = shapes::reduce(whole.shape(), flags, keepdims);
    Axes order;
    Shape sizes;
    std::int64_t n = 1, reduced = 0;
    axis = 0;
    for (const bool last : {false, true})
      for (std::size_t i = 0; i < flags.size(); ++i) {
        if (flags[i] != last) continue;
        order.push_back(static_cast<std::int64_t>(i));
        if (!last) {
          sizes.push_back(whole.shape()[i]);
        } else {
          n *= whole.shape()[i];
          ++reduced;
          axis = static_cast<std::int64_t>(i);
        }
      }
    if (reduced == 1) {
      x = whole;
      return;
    }
    axis = sizes.ndim();
    sizes.push_back(n);
    x = reshape(axis == 0 ? whole : permute(whole, order), sizes);
  }
};

}  // namespace autograd::internal
