#include "autograd/kernels/rows.hpp"
#include "autograd/formulas/simd_math.hpp"

// Operations on rows of contiguous elements: softmax, log-softmax, layer normalisation.
namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// f(i, v) for each register of the row, then for the rest one element at a time in a register of
// its own, padded with `fill`; what f returns is stored.
template <class T, class F>
void map_row(const T* x, T* y, std::int64_t n, T fill, F&& f) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  std::int64_t i = 0;
  for (; i + W <= n; i += W) f(i, V::load(x + i)).store(y + i);
  if (i == n) return;
  T buffer[W];
  for (std::int64_t w = 0; w < W; ++w) buffer[w] = i + w < n ? x[i + w] : fill;
  f(i, V::load(buffer)).store(buffer);
  for (std::int64_t w = 0; i < n; ++w, ++i) y[i] = buffer[w];
}

template <class T>
T lowest() {
  return -__builtin_inf();
}

template <class T>
T max_row(const T* x, std::int64_t n) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  V v(lowest<T>());
  std::int64_t i = 0;
  for (; i + W <= n; i += W) v = maximum(V::load(x + i), v);
  T lanes[W];
  v.store(lanes);
  T best = lowest<T>();
  for (std::int64_t w = 0; w < W; ++w)
    best = lanes[w] > best || lanes[w] != lanes[w] ? lanes[w] : best;
  for (; i < n; ++i) best = x[i] > best || x[i] != x[i] ? x[i] : best;
  return best;
}

// Σ f(register) over the row; padded lanes must give 0.
template <class T, class F>
T reduce_row(const T* x, std::int64_t n, T fill, F&& f) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  V a(0), b(0);
  std::int64_t i = 0;
  for (; i + 2 * W <= n; i += 2 * W) {
    a += f(i, V::load(x + i));
    b += f(i + W, V::load(x + i + W));
  }
  for (; i + W <= n; i += W) a += f(i, V::load(x + i));
  a += b;
  if (i < n) {
    T buffer[W];
    for (std::int64_t w = 0; w < W; ++w) buffer[w] = i + w < n ? x[i + w] : fill;
    a += f(i, V::load(buffer));
  }
  return simd::sum_lanes(a);
}

// A register of `x` from i, padded with zeros beyond n.
template <class T>
Vec<T> load_part(const T* x, std::int64_t i, std::int64_t n) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  if (i + W <= n) return V::load(x + i);
  T buffer[W];
  for (std::int64_t w = 0; w < W; ++w) buffer[w] = i + w < n ? x[i + w] : T(0);
  return V::load(buffer);
}

template <class T>
void softmax(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const V top(max_row(x, n));
    map_row(x, y, n, lowest<T>(), [&](std::int64_t, V v) { return exp(v - top); });
    const V scale(T(1) / reduce_row(y, n, T(0), [](std::int64_t, V v) { return v; }));
    map_row(y, y, n, T(0), [&](std::int64_t, V v) { return v * scale; });
  }
}

template <class T>
void softmax_gradient(const T* y, const T* g, T* out, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, y += n, g += n, out += n) {
    const V dot(
        reduce_row(y, n, T(0), [&](std::int64_t i, V v) { return v * load_part(g, i, n); }));
    map_row(y, out, n, T(0), [&](std::int64_t i, V v) { return v * (load_part(g, i, n) - dot); });
  }
}

template <class T>
void log_softmax(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const V top(max_row(x, n));
    const V total(reduce_row(x, n, lowest<T>(), [&](std::int64_t, V v) { return exp(v - top); }));
    const V shift = log(total);
    // Two subtractions: top + shift would round away what a large top leaves.
    map_row(x, y, n, T(0), [&](std::int64_t, V v) { return (v - top) - shift; });
  }
}

template <class T>
void log_softmax_gradient(const T* y, const T* g, T* out, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, y += n, g += n, out += n) {
    const V total(reduce_row(g, n, T(0), [](std::int64_t, V v) { return v; }));
    map_row(y, out, n, T(0),
            [&](std::int64_t i, V v) { return load_part(g, i, n) - exp(v) * total; });
  }
}

// Where squares leave the range of T: a variance below `tiny` has lost digits; `far` squared is
// within the range, and so is two to the power `most`.
template <class T>
struct Limits {
  static constexpr double tiny = sizeof(T) == 4 ? 1e-30 : 1e-280;
  static constexpr T far = sizeof(T) == 4 ? T(0x1p40) : T(0x1p400);
  static constexpr int most = sizeof(T) == 4 ? 120 : 1000;
};

// A row as (x · unit - mean) · rstd, where unit is a power of two, and 1 in all but extreme rows.
template <class T>
struct Normal {
  T unit, mean, rstd;
};

template <class T>
Normal<T> normal(const T* x, std::int64_t n, bool centred, double eps, T unit) {
  using V = Vec<T>;
  const T m =
      centred ? reduce_row(x, n, T(0), [=](std::int64_t, V v) { return v * unit; }) / T(n) : T(0);
  const T var = reduce_row(x, n, m / unit,
                           [=](std::int64_t, V v) {
                             const V d = fma(v, V(unit), V(-m));
                             return d * d;
                           }) /
                T(n);
  const double u = unit, total = static_cast<double>(var) + eps * u * u;
  return {unit, m, T(1) / static_cast<T>(__builtin_sqrt(total))};
}

// For a row whose plain statistics are infinite or lost: with the largest element, or √eps, near 1.
template <class T>
[[gnu::noinline]] Normal<T> rescaled(const T* x, std::int64_t n, bool centred, double eps) {
  double size = __builtin_sqrt(eps);
  for (std::int64_t i = 0; i < n; ++i) {
    const double a = __builtin_fabs(static_cast<double>(x[i]));
    if (!(a <= size)) size = a;
  }
  if (!(size > 0 && size < __builtin_inf())) return normal(x, n, centred, eps, T(1));
  int exponent;
  (void)__builtin_frexp(size, &exponent);
  constexpr int most = Limits<T>::most;
  exponent = exponent > most ? most : exponent < -most ? -most : exponent;
  return normal(x, n, centred, eps, static_cast<T>(__builtin_scalbn(1.0, -exponent)));
}

template <class T>
void layer_norm(const T* x, const T* weight, const T* bias, T* y, T* mean, T* rstd,
                std::int64_t rows, std::int64_t n, bool centred, double eps) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const T m = centred ? reduce_row(x, n, T(0), [](std::int64_t, V v) { return v; }) / T(n) : T(0);
    const T var = reduce_row(x, n, m, [&](std::int64_t, V v) { return (v - m) * (v - m); }) / T(n);
    const double total = static_cast<double>(var) + eps;
    const auto write = [&](auto normalised) {
      map_row(x, y, n, T(0), [&](std::int64_t i, V v) {
        V z = normalised(v);
        if (weight) z = z * load_part(weight, i, n);
        if (bias) z = z + load_part(bias, i, n);
        return z;
      });
    };
    if (total > Limits<T>::tiny && var < __builtin_inf()) [[likely]] {
      const T s = T(1) / static_cast<T>(__builtin_sqrt(total));
      mean[r] = m;
      rstd[r] = s;
      write([=](V v) { return (v - m) * s; });
    } else {
      const Normal<T> z = rescaled(x, n, centred, eps);
      mean[r] = z.mean / z.unit;
      rstd[r] = z.rstd * z.unit;
      write([=](V v) { return fma(v, V(z.unit), V(-z.mean)) * z.rstd; });
    }
  }
}

// The gradients of one row, from its elements normalised.
template <class T, class F>
void layer_norm_row_gradient(const T* x, const T* weight, T mean, T rstd, const T* g, T* gx,
                             T* gweight, T* gbias, std::int64_t n, bool centred, F normalised) {
  using V = Vec<T>;
  if (gx) {
    auto scaled = [&](std::int64_t i) {
      const V v = load_part(g, i, n);
      return weight ? v * load_part(weight, i, n) : v;
    };
    const T a = centred
                    ? reduce_row(x, n, mean, [&](std::int64_t i, V) { return scaled(i); }) / T(n)
                    : T(0);
    const T b =
        reduce_row(x, n, mean, [&](std::int64_t i, V v) { return scaled(i) * normalised(v); }) /
        T(n);
    map_row(x, gx, n, mean,
            [&](std::int64_t i, V v) { return rstd * (scaled(i) - a - normalised(v) * b); });
  }
  if (gweight)
    map_row(gweight, gweight, n, T(0), [&](std::int64_t i, V v) {
      return v + load_part(g, i, n) * normalised(load_part(x, i, n));
    });
  if (gbias)
    map_row(gbias, gbias, n, T(0), [&](std::int64_t i, V v) { return v + load_part(g, i, n); });
}

template <class T>
void layer_norm_gradient(const T* x, const T* weight, const T* mean, const T* rstd, const T* g,
                         T* gx, T* gweight, T* gbias, std::int64_t rows, std::int64_t n,
                         bool centred) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += n, g += n) {
    const T m = mean[r], s = rstd[r], far = Limits<T>::far;
    T* const row = gx ? gx + r * n : nullptr;
    if (s * far >= T(1)) [[likely]] {
      layer_norm_row_gradient(x, weight, m, s, g, row, gweight, gbias, n, centred,
                              [=](V v) { return (v - m) * s; });
    } else {  // deviations may overflow; NaN too
      const V down(T(1) / far / far), shift(-(m / far / far)), up(s * far * far);
      layer_norm_row_gradient(x, weight, m, s, g, row, gweight, gbias, n, centred,
                              [=](V v) { return fma(v, down, shift) * up; });
    }
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(Softmax, softmax)
XGRAD_FLOATING_KERNEL(SoftmaxGradient, softmax_gradient)
XGRAD_FLOATING_KERNEL(LogSoftmax, log_softmax)
XGRAD_FLOATING_KERNEL(LogSoftmaxGradient, log_softmax_gradient)
XGRAD_FLOATING_KERNEL(LayerNorm, layer_norm)
XGRAD_FLOATING_KERNEL(LayerNormGradient, layer_norm_gradient)
