#include "autograd/kernels/attention.hpp"

#include "autograd/formulas/simd_math.hpp"

// Softmax over rows of scores, of which masks leave out some keys, and its gradient.
namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

template <class T>
Vec<T> load(const T* x, std::int64_t left) {
  return left >= Vec<T>::size ? Vec<T>::load(x) : simd::load_first(x, left);
}

template <class T>
void store(Vec<T> v, T* x, std::int64_t left) {
  if (left >= Vec<T>::size)
    v.store(x);
  else
    simd::store_first(v, x, left);
}

template <class T>
std::int64_t visible_keys(const AttentionTile<T>& t, std::int64_t row) {
  const std::int64_t n = t.visible + row;
  return n < 0 ? 0 : n < t.keys ? n : t.keys;
}

// Masked scores are -∞.
template <class T>
void mask_row(const AttentionTile<T>& t, std::int64_t row, T* s, std::int64_t n) {
  if (t.added) {
    const T* m = t.added + row * t.mask_row;
    if (t.mask_key == 1)
      for (std::int64_t j = 0; j < n; ++j) s[j] += m[j];
    else
      for (std::int64_t j = 0; j < n; ++j) s[j] += *m;
  } else if (t.allowed) {
    const bool* m = t.allowed + row * t.mask_row;
    const T none = -__builtin_inf();
    for (std::int64_t j = 0; j < n; ++j) s[j] = m[j * t.mask_key] ? s[j] : none;
  }
}

template <class T>
T largest(const T* x, std::int64_t n) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  const T none = -__builtin_inf();
  V v(none);
  std::int64_t j = 0;
  for (; j + W <= n; j += W) v = maximum(V::load(x + j), v);
  T lanes[W];
  v.store(lanes);
  T best = none;
  for (std::int64_t w = 0; w < W; ++w)
    best = lanes[w] > best || lanes[w] != lanes[w] ? lanes[w] : best;
  for (; j < n; ++j) best = x[j] > best || x[j] != x[j] ? x[j] : best;
  return best;
}

// x = exp(x - top); returns Σ x.
template <class T>
T exponentials(T* x, std::int64_t n, T top) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  V a(0), b(0);
  const V shift(top);
  std::int64_t j = 0;
  for (; j + 2 * W <= n; j += 2 * W) {
    const V u = exp(V::load(x + j) - shift), v = exp(V::load(x + j + W) - shift);
    u.store(x + j);
    v.store(x + j + W);
    a += u;
    b += v;
  }
  for (; j < n; j += W) {
    const V u = exp(load(x + j, n - j) - shift);
    store(u, x + j, n - j);
    if (j + W <= n)
      a += u;
    else
      b += simd::load_first(x + j, n - j);  // the other lanes are 0
  }
  return simd::sum_lanes(a + b);
}

template <class T>
void weights(const AttentionTile<T>* tile) {
  const AttentionTile<T>& t = *tile;
  const T infinite = __builtin_inf();
  for (std::int64_t i = 0; i < t.rows; ++i) {
    T* s = t.scores + i * t.keys;
    std::int64_t n = visible_keys(t, i);
    mask_row(t, i, s, n);
    const T top = largest(s, n);
    const bool none = top == -infinite;
    if (none) n = 0;
    const T sum = exponentials(s, n, top);
    t.top[i] = none ? T(0) : top;
    t.share[i] = none ? T(0) : T(1) / sum;
    for (std::int64_t j = n; j < t.keys; ++j) s[j] = T(0);
    if (!t.dropout) continue;
    const T* factor = t.dropout + i * t.keys;
    for (std::int64_t j = 0; j < n; ++j) s[j] *= factor[j];
  }
}

template <class T>
T dot(const T* x, const T* y, std::int64_t n) {
  using V = Vec<T>;
  V sum(0);
  for (std::int64_t j = 0; j < n; j += V::size)
    sum = fma(load(x + j, n - j), load(y + j, n - j), sum);
  return simd::sum_lanes(sum);
}

template <class T>
void weights_gradient(const AttentionTile<T>* tile) {
  using V = Vec<T>;
  const AttentionTile<T>& t = *tile;
  for (std::int64_t i = 0; i < t.rows; ++i) {
    T *s = t.scores + i * t.keys, *c = t.cotangents + i * t.keys;
    // Σ weight · cotangent over the keys is output · g, also with what was dropped.
    const V mean(dot(t.output + i * t.output_row, t.g + i * t.output_row, t.value_width));
    const V top(t.known_top[i]), share(t.known_share[i]);
    const std::int64_t n = visible_keys(t, i);
    mask_row(t, i, s, n);
    const T* factor = t.dropout ? t.dropout + i * t.keys : nullptr;
    for (std::int64_t j = 0; j < n; j += V::size) {
      const std::int64_t left = n - j;
      const V p = exp(load(s + j, left) - top) * share, g = load(c + j, left);
      const V f = factor ? load(factor + j, left) : V(1);
      store(p * (g * f - mean), c + j, left);
      store(p * f, s + j, left);
    }
    for (std::int64_t j = n; j < t.keys; ++j) s[j] = c[j] = T(0);
  }
}

// t = p (t - Σ p t), where the weights are p.
template <class T>
void weights_tangent(const AttentionTile<T>* tile) {
  using V = Vec<T>;
  const AttentionTile<T>& t = *tile;
  for (std::int64_t i = 0; i < t.rows; ++i) {
    T *s = t.scores + i * t.keys, *c = t.cotangents + i * t.keys;
    const V top(t.known_top[i]), share(t.known_share[i]);
    const std::int64_t n = visible_keys(t, i);
    mask_row(t, i, s, n);
    for (std::int64_t j = 0; j < n; j += V::size)
      store(exp(load(s + j, n - j) - top) * share, s + j, n - j);
    const V mean(dot(s, c, n));
    const T* factor = t.dropout ? t.dropout + i * t.keys : nullptr;
    for (std::int64_t j = 0; j < n; j += V::size) {
      const std::int64_t left = n - j;
      const V p = load(s + j, left), f = factor ? load(factor + j, left) : V(1);
      store(p * (load(c + j, left) - mean) * f, c + j, left);
      if (factor) store(p * f, s + j, left);
    }
    for (std::int64_t j = n; j < t.keys; ++j) s[j] = c[j] = T(0);
  }
}

template <class T>
void scale_rows(T* x, std::int64_t rows, std::int64_t step, std::int64_t n, const T* factor) {
  using V = Vec<T>;
  for (std::int64_t i = 0; i < rows; ++i, x += step) {
    const V f(factor[i]);
    for (std::int64_t j = 0; j < n; j += V::size) store(load(x + j, n - j) * f, x + j, n - j);
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(AttentionWeights, weights)
XGRAD_FLOATING_KERNEL(AttentionWeightsGradient, weights_gradient)
XGRAD_FLOATING_KERNEL(AttentionWeightsTangent, weights_tangent)
XGRAD_FLOATING_KERNEL(ScaleRows, scale_rows)
