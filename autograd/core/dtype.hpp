#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "autograd/core/errors.hpp"

#pragma GCC visibility push(default)

namespace autograd {

/// Element type of a tensor. Only float32 and float64 are differentiable.
enum class DType : std::uint8_t { float32, float64, int64, boolean };

inline constexpr DType float32 = DType::float32;
inline constexpr DType float64 = DType::float64;
inline constexpr DType int64 = DType::int64;
inline constexpr DType boolean = DType::boolean;

/// A C++ type that is stored as it is: float, double, std::int64_t or bool.
template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, double> ||
    std::same_as<T, std::int64_t> || std::same_as<T, bool>;

template <Element T>
inline constexpr DType dtype_of = std::same_as<T, float>          ? DType::float32
                                  : std::same_as<T, double>       ? DType::float64
                                  : std::same_as<T, std::int64_t> ? DType::int64
                                                                  : DType::boolean;

/// NumPy's name: "float32", "float64", "int64", "bool".
constexpr std::string_view name(DType d) {
  constexpr std::string_view names[] = {"float32", "float64", "int64", "bool"};
  return names[static_cast<int>(d)];
}

namespace detail {
inline constexpr std::uint8_t kSizes[] = {4, 8, 8, 1};
}
/// Bytes per element.
constexpr std::size_t size_of(DType d) { return detail::kSizes[static_cast<int>(d)]; }

constexpr bool is_floating(DType d) { return d == DType::float32 || d == DType::float64; }

/// Calls `f(T{})` with T the C++ type of a floating dtype; throws for `op` on any other.
template <class F>
decltype(auto) dispatch_floating(std::string_view op, DType d, F&& f) {
  if (d == DType::float32) return f(float{});
  if (d == DType::float64) return f(double{});
  fail(op, "needs float32 or float64, got {}; convert with .to(float32)", name(d));
}

/// Calls `f(T{})` with T the C++ type of `d`.
template <class F>
decltype(auto) dispatch(DType d, F&& f) {
  switch (d) {
    case DType::float32:
      return f(float{});
    case DType::float64:
      return f(double{});
    case DType::int64:
      return f(std::int64_t{});
    default:
      return f(bool{});
  }
}

}  // namespace autograd

/// By its name.
template <>
struct fmt::formatter<autograd::DType> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  auto format(autograd::DType d, fmt::format_context& ctx) const {
    const std::string_view name = autograd::name(d);
    return std::copy(name.begin(), name.end(), ctx.out());
  }
};

#pragma GCC visibility pop
