#include "autograd/kernels/rows.hpp"
#include "autograd/formulas/simd_math.hpp"
#include "autograd/kernels/isa/registers.hpp"

// Operations on rows of contiguous elements: softmax, log-softmax, layer normalisation.
namespace autograd::kernels::XGRAD_ISA {
namespace {

// Two sums at once.
template <class T>
struct Two {
  Vec<T> a, b;
  explicit Two(int zero) : a(zero), b(zero) {}
  Two(Vec<T> x, Vec<T> y) : a(x), b(y) {}
  Two& operator+=(const Two& o) {
    a += o.a;
    b += o.b;
    return *this;
  }
};

template <class T>
constexpr T kLowest = -__builtin_inf();

template <class T>
void softmax(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows && n > 0; ++r, x += n, y += n) {
    const V top(extreme_row<T, true>(x, n));
    const V total = sum_registers<T>(n, [&](auto lanes, std::int64_t i) {
      const V e = exp(lanes(x + i, kLowest<T>) - top);
      lanes.store(e, y + i);
      return e;
    });
    const V scale(T(1) / simd::sum_lanes(total));
    each_register<T>(
        n, [&](auto lanes, std::int64_t i) { lanes.store(lanes(y + i, T(0)) * scale, y + i); });
  }
}

template <class T>
void softmax_gradient(const T* y, const T* g, T* out, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, y += n, g += n, out += n) {
    const V dot(simd::sum_lanes(sum_registers<T>(
        n, [&](auto lanes, std::int64_t i) { return lanes(y + i, T(0)) * lanes(g + i, T(0)); })));
    each_register<T>(n, [&](auto lanes, std::int64_t i) {
      lanes.store(lanes(y + i, T(0)) * (lanes(g + i, T(0)) - dot), out + i);
    });
  }
}

template <class T>
void log_softmax(const T* x, T* y, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows && n > 0; ++r, x += n, y += n) {
    const V top(extreme_row<T, true>(x, n));
    const V total(simd::sum_lanes(sum_registers<T>(
        n, [&](auto lanes, std::int64_t i) { return exp(lanes(x + i, kLowest<T>) - top); })));
    const V shift = log(total);
    // Two subtractions: top + shift would round away what a large top leaves.
    each_register<T>(n, [&](auto lanes, std::int64_t i) {
      lanes.store((lanes(x + i, T(0)) - top) - shift, y + i);
    });
  }
}

template <class T>
void log_softmax_gradient(const T* y, const T* g, T* out, std::int64_t rows, std::int64_t n) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, y += n, g += n, out += n) {
    const V total(simd::sum_lanes(
        sum_registers<T>(n, [&](auto lanes, std::int64_t i) { return lanes(g + i, T(0)); })));
    each_register<T>(n, [&](auto lanes, std::int64_t i) {
      lanes.store(lanes(g + i, T(0)) - exp(lanes(y + i, T(0))) * total, out + i);
    });
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

// The mean of f(x) over a row; `rest` stands for x where there is no element, and must give 0.
template <class T, class F>
T mean_of(const T* x, std::int64_t n, T rest, F&& f) {
  return simd::sum_lanes(sum_registers<T>(
             n, [&](auto lanes, std::int64_t i) { return f(lanes(x + i, rest)); })) /
         T(n);
}

template <class T>
Normal<T> normal(const T* x, std::int64_t n, bool centred, double eps, T unit) {
  using V = Vec<T>;
  const T m = centred ? mean_of(x, n, T(0), [=](V v) { return v * unit; }) : T(0);
  const T var = mean_of(x, n, m / unit, [=](V v) {
    const V d = fma(v, V(unit), V(-m));
    return d * d;
  });
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
  for (std::int64_t r = 0; r < rows; ++r, x += n) {
    const auto keep = [r](T* to, T value) {
      if (to) to[r] = value;
    };
    const T m = centred ? mean_of(x, n, T(0), [](V v) { return v; }) : T(0);
    const T var = mean_of(x, n, m, [=](V v) { return (v - m) * (v - m); });
    const double total = static_cast<double>(var) + eps;
    const auto write = [&](auto normalised) {
      T* const row = y ? y + r * n : nullptr;
      if (!row) return;
      each_register<T>(n, [&](auto lanes, std::int64_t i) {
        V z = normalised(lanes(x + i, T(0)));
        if (weight) z = z * lanes(weight + i, T(0));
        if (bias) z = z + lanes(bias + i, T(0));
        lanes.store(z, row + i);
      });
    };
    if (total > Limits<T>::tiny && var < __builtin_inf()) [[likely]] {
      const T s = T(1) / static_cast<T>(__builtin_sqrt(total));
      keep(mean, m);
      keep(rstd, s);
      write([=](V v) { return (v - m) * s; });
    } else {
      const Normal<T> z = rescaled(x, n, centred, eps);
      keep(mean, z.mean / z.unit);
      keep(rstd, z.rstd * z.unit);
      write([=](V v) { return fma(v, V(z.unit), V(-z.mean)) * z.rstd; });
    }
  }
}

// f(deviation, scale), with which a normalised element of a row is deviation(x) · scale.
template <class T, class F>
void with_deviation(T mean, T rstd, F&& f) {
  using V = Vec<T>;
  constexpr T far = Limits<T>::far, near = T(0x1p16);
  if (rstd <= near && rstd * near >= T(1)) [[likely]] {
    f([=](V v) { return v - mean; }, rstd);
  } else if (rstd * far >= T(1)) {  // products with deviations may overflow or vanish
    f([=](V v) { return (v - mean) * rstd; }, T(1));
  } else {  // deviations may overflow; NaN too
    const V down(T(1) / far / far), shift(-(mean / far / far)), up(rstd * far * far);
    f([=](V v) { return fma(v, down, shift) * up; }, T(1));
  }
}

// What the gradient of a row lacks of rstd · s, s being the cotangents of its normalised elements,
// and its tangent of the same for tangents of the elements: d ↦ shift + slope · d for a deviation d.
template <class T>
struct Common {
  Vec<T> shift, slope;
  Vec<T> operator()(Vec<T> d) const { return fma(d, slope, shift); }
};
template <class T, class S, class F>
Common<T> common_of(const T* x, T mean, T rstd, std::int64_t n, bool centred, S s, F deviation,
                    T scale) {
  using V = Vec<T>;
  const auto sums = sum_registers<T, Two<T>>(n, [&](auto lanes, std::int64_t i) {
    const V v = s(lanes, i);
    return Two<T>(v, v * deviation(lanes(x + i, mean)));
  });
  const T of_s = centred ? rstd * (simd::sum_lanes(sums.a) / T(n)) : T(0);
  return {V(of_s), V(rstd * (simd::sum_lanes(sums.b) / T(n) * scale) * scale)};
}

template <class T>
void layer_norm_gradient(const T* x, const T* weight, const T* mean, const T* rstd,
                         const T* cotangents, const T* every, T* gx, T* gweight, T* gbias,
                         std::int64_t rows, std::int64_t n, bool centred) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += n) {
    const T* const g = cotangents ? cotangents + r * n : every;
    T* const row = gx ? gx + r * n : nullptr;
    const auto scaled = [=](auto lanes, std::int64_t i) {
      const V v = lanes(g + i, T(0));
      return weight ? v * lanes(weight + i, T(0)) : v;
    };
    with_deviation(mean[r], rstd[r], [&](auto deviation, T scale) {
      Common<T> common{V(0), V(0)};
      if (row) common = common_of(x, mean[r], rstd[r], n, centred, scaled, deviation, scale);
      each_register<T>(n, [&](auto lanes, std::int64_t i) {
        const V d = deviation(lanes(x + i, mean[r]));
        if (row) lanes.store(fma(scaled(lanes, i), V(rstd[r]), -common(d)), row + i);
        if (gweight)
          lanes.store(lanes(gweight + i, T(0)) + lanes(g + i, T(0)) * (d * scale), gweight + i);
        if (gbias) lanes.store(lanes(gbias + i, T(0)) + lanes(g + i, T(0)), gbias + i);
      });
    });
  }
}

template <class T>
void layer_norm_tangent(const T* x, const T* weight, const T* mean, const T* rstd, const T* t,
                        const T* tweight, const T* tbias, T* out, std::int64_t rows, std::int64_t n,
                        bool centred) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, x += n, out += n) {
    const T* const row = t ? t + r * n : nullptr;
    const auto tangents = [=](auto lanes, std::int64_t i) { return lanes(row + i, T(0)); };
    with_deviation(mean[r], rstd[r], [&](auto deviation, T scale) {
      Common<T> common{V(0), V(0)};
      if (row) common = common_of(x, mean[r], rstd[r], n, centred, tangents, deviation, scale);
      each_register<T>(n, [&](auto lanes, std::int64_t i) {
        const V d = deviation(lanes(x + i, mean[r]));
        V v(0);
        if (row) v = fma(tangents(lanes, i), V(rstd[r]), -common(d));
        if (row && weight) v = v * lanes(weight + i, T(0));
        if (tweight) v = fma(d * scale, lanes(tweight + i, T(0)), v);
        if (tbias) v = v + lanes(tbias + i, T(0));
        lanes.store(v, out + i);
      });
    });
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
XGRAD_FLOATING_KERNEL(LayerNormTangent, layer_norm_tangent)
