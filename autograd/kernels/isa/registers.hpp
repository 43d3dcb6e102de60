#pragma once

#include "autograd/core/kernel.hpp"
#include "autograd/formulas/simd.hpp"

/// Rows of contiguous elements by registers, the last one as far as there are elements.
namespace autograd::kernels::XGRAD_ISA {

using simd::Vec;

/// How a register is loaded and stored: whole, or as far as there are elements, with `rest` in the
/// other lanes.
template <class T>
struct AllLanes {
  Vec<T> operator()(const T* p, T) const { return Vec<T>::load(p); }
  void store(Vec<T> x, T* p) const { x.store(p); }
};
template <class T>
struct FirstLanes {
  std::int64_t count;
  Vec<T> operator()(const T* p, T rest) const {
    using V = Vec<T>;
    alignas(V) static constexpr T lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return where(V::load(lane) < V(static_cast<T>(count)), simd::load_first(p, count), V(rest));
  }
  void store(Vec<T> x, T* p) const { simd::store_first(x, p, count); }
};

/// f(lanes, i) for each register of a row of n, from its element i on.
template <class T, class F>
void each_register(std::int64_t n, F&& f) {
  constexpr std::int64_t W = Vec<T>::size;
  std::int64_t i = 0;
  for (; i + W <= n; i += W) f(AllLanes<T>{}, i);
  if (i < n) f(FirstLanes<T>{n - i}, i);
}

/// Four running sums, so that none waits for the one before; the order of additions depends on the
/// lengths of rows alone. S is a register, or what adds up several.
template <class T, class S = Vec<T>>
class Running {
 public:
  /// f(lanes, i) over the registers of [i, end); lanes that are not there must give 0.
  template <class F>
  void add(std::int64_t i, std::int64_t end, F&& f) {
    constexpr std::int64_t W = Vec<T>::size;
    const AllLanes<T> all;
    for (; i + 4 * W <= end; i += 4 * W) {
      a_ += f(all, i);
      b_ += f(all, i + W);
      c_ += f(all, i + 2 * W);
      d_ += f(all, i + 3 * W);
    }
    for (; i + W <= end; i += W) a_ += f(all, i);
    if (i < end) b_ += f(FirstLanes<T>{end - i}, i);
  }
  S total() const {
    S left = a_, right = c_;
    left += b_;
    right += d_;
    left += right;
    return left;
  }

 private:
  S a_{0}, b_{0}, c_{0}, d_{0};
};

/// Σ f(lanes, i) over the registers of a row.
template <class T, class S = Vec<T>, class F>
S sum_registers(std::int64_t n, F&& f) {
  Running<T, S> sums;
  sums.add(0, n, f);
  return sums.total();
}

/// The larger, or smaller; of equal ones b. NaN if one is.
template <class T, bool Largest>
T pick(T a, T b) {
  return (Largest ? a > b : a < b) || a != a ? a : b;
}

/// The largest, or smallest, so far, and whether there was a NaN: xsimd's max and min give either
/// operand then.
template <class T, bool Largest>
struct Extreme {
  using V = Vec<T>;
  V best;
  typename V::Mask nan;
  explicit Extreme(V x) : best(x), nan(x != x) {}
  static V further(V a, V b) {
    if constexpr (Largest)
      return xsimd::max(a.b, b.b);
    else
      return xsimd::min(a.b, b.b);
  }
  void add(V x) {
    best = further(x, best);
    nan = nan || x != x;
  }
  void add(const Extreme& o) {
    best = further(o.best, best);
    nan = nan || o.nan;
  }
};

/// The largest, or smallest, of n > 0 elements; NaN if one is.
template <class T, bool Largest>
T extreme_row(const T* x, std::int64_t n) {
  using V = Vec<T>;
  using E = Extreme<T, Largest>;
  constexpr std::int64_t W = V::size;
  if (n < W) {
    T best = x[0];
    for (std::int64_t i = 1; i < n; ++i) best = pick<T, Largest>(x[i], best);
    return best;
  }
  E a(V::load(x)), b = a, c = a, d = a;
  std::int64_t i = W;
  for (; i + 4 * W <= n; i += 4 * W) {
    a.add(V::load(x + i));
    b.add(V::load(x + i + W));
    c.add(V::load(x + i + 2 * W));
    d.add(V::load(x + i + 3 * W));
  }
  for (; i + W <= n; i += W) a.add(V::load(x + i));
  b.add(V::load(x + n - W));  // some of them again
  a.add(b);
  c.add(d);
  a.add(c);
  if (xsimd::any(a.nan.m)) return __builtin_nan("");
  return simd::join_lanes(a.best, E::further);
}

}  // namespace autograd::kernels::XGRAD_ISA
