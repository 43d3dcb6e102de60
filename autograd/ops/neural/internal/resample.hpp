#pragma once

#include <cstdint>
#include <string_view>

#include "autograd/core/attributes.hpp"
#include "autograd/core/memory.hpp"

/// Elements of a line between its elements.
namespace autograd::internal {

/// How they are made: see `InterpolateMode`.
enum class Between : std::uint8_t { nearest, nearest_exact, linear, cubic };
std::string_view name(Between between);

/// A line of `in` elements in `out` elements.
struct Resampling {
  Between between;
  std::int64_t in, out;
  double factor;       // new elements for each old one; 0: out / in
  bool align_corners;  // the outer elements stay; else the outer edges
  bool antialias;      // a new element is made of all that it covers
  XGRAD_ATTRIBUTES(between, in, out, factor, align_corners, antialias)
};

/// What each element of the result is made of: from begins[i] on, elements `places` times their
/// weights.
struct Taps {
  detail::PooledVector<std::int64_t> begins, places;
  detail::PooledVector<double> weights;
};
/// Taps with the weight 0 are left out: what lies beside an element that is met exactly does not
/// count, be it infinite.
Taps taps_of(const Resampling& r);
/// The taps of the transposed matrix, from `out` elements to `in`.
Taps transposed(const Taps& taps, std::int64_t in);

}  // namespace autograd::internal
