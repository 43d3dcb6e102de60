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

/// Σ f(lanes, i) over the registers of a row; lanes that are not there must give 0. Four running
/// sums, so that none waits for the one before; the order depends on n alone. S is a register, or
/// what adds up several.
template <class T, class S = Vec<T>, class F>
S sum_registers(std::int64_t n, F&& f) {
  constexpr std::int64_t W = Vec<T>::size;
  const AllLanes<T> all;
  S a(0), b(0), c(0), d(0);
  std::int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W) {
    a += f(all, i);
    b += f(all, i + W);
    c += f(all, i + 2 * W);
    d += f(all, i + 3 * W);
  }
  for (; i + W <= n; i += W) a += f(all, i);
  if (i < n) b += f(FirstLanes<T>{n - i}, i);
  a += b;
  c += d;
  a += c;
  return a;
}

/// The larger, or smaller; of equal ones b. NaN if one is.
template <class V, bool Largest>
V pick(V a, V b) {
  if constexpr (std::is_arithmetic_v<V>)
    return (Largest ? a > b : a < b) || a != a ? a : b;
  else if constexpr (Largest)
    return where(a > b || a != a, a, b);
  else
    return where(a < b || a != a, a, b);
}

/// The largest, or smallest, of n > 0 elements.
template <class T, bool Largest>
T extreme_row(const T* x, std::int64_t n) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  T best = x[0];
  if (n < W) {
    for (std::int64_t i = 1; i < n; ++i) best = pick<T, Largest>(x[i], best);
    return best;
  }
  V a = V::load(x), b = a, c = a, d = a;
  std::int64_t i = W;
  for (; i + 4 * W <= n; i += 4 * W) {
    a = pick<V, Largest>(V::load(x + i), a);
    b = pick<V, Largest>(V::load(x + i + W), b);
    c = pick<V, Largest>(V::load(x + i + 2 * W), c);
    d = pick<V, Largest>(V::load(x + i + 3 * W), d);
  }
  for (; i + W <= n; i += W) a = pick<V, Largest>(V::load(x + i), a);
  b = pick<V, Largest>(V::load(x + n - W), b);  // some of them again
  a = pick<V, Largest>(pick<V, Largest>(c, d), pick<V, Largest>(a, b));
  T lanes[W];
  a.store(lanes);
  best = lanes[0];
  for (std::int64_t w = 1; w < W; ++w) best = pick<T, Largest>(lanes[w], best);
  return best;
}

}  // namespace autograd::kernels::XGRAD_ISA
