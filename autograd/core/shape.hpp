#pragma once

#include <fmt/core.h>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "autograd/core/errors.hpp"
#include "autograd/core/inline_vector.hpp"

#pragma GCC visibility push(default)

namespace autograd {

template <class T>
concept Index = std::integral<T> && !std::same_as<T, bool>;

/// Sizes of a tensor's axes, outermost first; `{}` is a 0-d tensor (one element). A tensor has at
/// most 64 axes.
class Shape : public InlineVector<std::int64_t, 4> {
 public:
  Shape() = default;
  template <Index... I>
  requires(sizeof...(I) > 0) Shape(I... sizes) {  // NOLINT: `zeros({3, 4})`
    (push_back(static_cast<std::int64_t>(sizes)), ...);
  }
  template <class It>
  requires(!Index<It>) Shape(It first, It last) : InlineVector(first, last) {}

  std::int64_t ndim() const { return static_cast<std::int64_t>(size()); }
  /// Number of elements; 1 for a 0-d shape.
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (auto d : *this) n *= d;
    return n;
  }
  /// As a Python tuple: "()", "(3,)", "(2, 3)".
  std::string str() const;
};

/// Axes of a reduction. Default: all of them. Negative axes count from the end.
class Axes : public InlineVector<std::int64_t, 4> {
 public:
  Axes() = default;
  template <Index... I>
  requires(sizeof...(I) > 0) Axes(I... axes) {  // NOLINT: `sum(x, 1)`, `sum(x, {0, -1})`
    (push_back(static_cast<std::int64_t>(axes)), ...);
  }
};

/// Pure shape rules. Each throws an `Error` that begins with the name of `op`.
namespace shapes {

/// As many axes as a tensor may have: what goes over them may recurse.
inline constexpr std::size_t kMostAxes = 64;
[[noreturn]] void refuse_axes(std::string_view op, const Shape& shape);
/// The number of elements. Throws unless there are at most 64 axes, every size is ≥ 0, and the
/// product, in bytes, fits in 63 bits.
std::int64_t check(std::string_view op, const Shape& shape);
/// The axis as a number in [0, ndim). A 0-d shape accepts 0 and -1, as in NumPy's reductions.
std::int64_t axis(std::string_view op, std::int64_t axis, const Shape& shape);
/// Which axes to reduce, one flag per axis; no axes means all.
InlineVector<bool, 8> axes(std::string_view op, const Axes& axes, const Shape& shape);
/// NumPy's broadcasting of two shapes.
Shape broadcast(std::string_view op, const Shape& a, const Shape& b);
/// Throws unless `from` broadcasts to exactly `to`.
void check_expand(std::string_view op, const Shape& from, const Shape& to);
/// The shape after reducing `reduced` axes; they stay as 1 with keepdims.
Shape reduce(const Shape& shape, const InlineVector<bool, 8>& reduced, bool keepdims);
/// `to` with one -1 worked out from the number of elements of `from`.
Shape reshape(const Shape& from, const Shape& to);

}  // namespace shapes
}  // namespace autograd

template <>
struct fmt::formatter<autograd::Shape> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  auto format(const autograd::Shape& s, fmt::format_context& ctx) const {
    const std::string text = s.str();
    return std::copy(text.begin(), text.end(), ctx.out());
  }
};

#pragma GCC visibility pop
