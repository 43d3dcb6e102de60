#include "autograd/core/shape.hpp"

#include <limits>

namespace autograd {

std::string Shape::str() const {
  std::string s = "(";
  for (std::size_t i = 0; i < size(); ++i) s += (i ? ", " : "") + std::to_string((*this)[i]);
  return s + (size() == 1 ? ",)" : ")");
}

namespace shapes {

void refuse_axes(std::string_view op, const Shape& shape) {
  fail(op, "a tensor must have at most {} axes, got {}", kMostAxes, shape.size());
}

std::int64_t check(std::string_view op, const Shape& shape) {
  if (shape.size() > kMostAxes) [[unlikely]]
    refuse_axes(op, shape);
  std::int64_t n = 1;
  bool overflow = false, empty = false;
  for (auto d : shape) {
    if (d < 0) fail(op, "sizes must be at least 0, got {}", shape);
    // A zero must not hide an overflow: the other sizes still become strides.
    empty |= d == 0;
    overflow |= __builtin_mul_overflow(n, d == 0 ? 1 : d, &n);
  }
  if (overflow || n > std::numeric_limits<std::int64_t>::max() / 8)
    fail(op, "the number of elements must fit in 63 bits of bytes, got {}", shape);
  return empty ? 0 : n;
}

std::int64_t axis(std::string_view op, std::int64_t axis, const Shape& shape) {
  const std::int64_t n = shape.ndim(), limit = n == 0 ? 1 : n;
  if (axis < -limit || axis >= limit)
    fail(op, "axis must be in [{}, {}] for shape {}, got {}", -limit, limit - 1, shape, axis);
  return axis < 0 ? axis + limit : axis;
}

InlineVector<bool, 8> axes(std::string_view op, const Axes& list, const Shape& shape) {
  InlineVector<bool, 8> flags(shape.size(), list.empty());
  for (auto a : list) {
    const auto i = static_cast<std::size_t>(axis(op, a, shape));
    if (flags.empty()) continue;  // 0-d: the axis was checked, there is nothing to mark
    if (flags[i]) fail(op, "axes must be distinct, got axis {} twice for shape {}", i, shape);
    flags[i] = true;
  }
  return flags;
}

Shape broadcast(std::string_view op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const auto offset = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    auto& d = out[offset + i];
    if (d == shorter[i] || shorter[i] == 1) continue;
    if (d != 1)
      fail(op, "shapes must broadcast, got {} and {}: {} != {} on axis {}", a, b,
           a[a.size() - shorter.size() + i], b[b.size() - shorter.size() + i], offset + i);
    d = shorter[i];
  }
  return out;
}

void check_expand(std::string_view op, const Shape& from, const Shape& to) {
  bool ok = from.size() <= to.size();
  for (std::size_t i = 0; ok && i < from.size(); ++i)
    ok = from[i] == to[to.size() - from.size() + i] || from[i] == 1;
  if (!ok) fail(op, "the shape must broadcast to {}, got {}", to, from);
}

Shape reduce(const Shape& shape, const InlineVector<bool, 8>& reduced, bool keepdims) {
  Shape out;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!reduced[i])
      out.push_back(shape[i]);
    else if (keepdims)
      out.push_back(1);
  }
  return out;
}

Shape reshape(const Shape& from, const Shape& to) {
  Shape out = to;
  std::int64_t known = 1, unknown = -1;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] == -1 && unknown < 0)
      unknown = static_cast<std::int64_t>(i);
    else if (to[i] < 0)
      fail("reshape", "sizes must be at least 0, with at most one -1, got {}", to);
    else if (__builtin_mul_overflow(known, to[i], &known))
      fail("reshape", "the number of elements must not change, got {} to {}", from, to);
  }
  const std::int64_t n = from.numel();
  if (unknown < 0 && known == 0) check("reshape", to);  // a 0 may hide sizes that overflow
  if (unknown >= 0 && known > 0 && n % known == 0) {
    out[static_cast<std::size_t>(unknown)] = n / known;
    known = n;
  } else if (unknown >= 0) {
    fail("reshape", "-1 must have a whole size, got {} ({} elements) to {}", from, n, to);
  }
  if (known != n)
    fail("reshape", "the number of elements must not change, got {} to {}: {} != {}", from, to, n,
         known);
  return out;
}

}  // namespace shapes
}  // namespace autograd
