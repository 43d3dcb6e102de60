#include "autograd/kernels/batch_norm.hpp"

#include "autograd/formulas/simd.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// Elements that are added in their own precision before the double total. They stay in the first
// cache, so that memory is read once for mean and variance.
constexpr std::int64_t kPiece = 2048;

// f(offset, count) for the planes of a channel, in pieces.
template <class F>
void each_piece(const Channels& s, std::int64_t channel, F&& f) {
  for (std::int64_t o = 0; o < s.outer; ++o) {
    const std::int64_t plane = (o * s.channels + channel) * s.inner;
    for (std::int64_t i = 0; i < s.inner; i += kPiece)
      f(plane + i, s.inner - i < kPiece ? s.inner - i : kPiece);
  }
}

// How a register is loaded: whole, or as far as there are elements, with `rest` in the other lanes.
template <class T>
struct AllLanes {
  Vec<T> operator()(const T* p, T) const { return Vec<T>::load(p); }
};
template <class T>
struct FirstLanes {
  std::int64_t count;
  Vec<T> operator()(const T* p, T rest) const {
    T lanes[Vec<T>::size];
    Vec<T>(rest).store(lanes);
    simd::copy_some<Vec<T>::size>(lanes, p, count);
    return Vec<T>::load(lanes);
  }
};

// Σ f(load, i) over the registers of n elements; lanes that are not there must give 0.
template <class T, class F>
double sum_of(std::int64_t n, F&& f) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  V a(0), b(0), c(0), d(0);
  std::int64_t i = 0;
  const AllLanes<T> all;
  for (; i + 4 * W <= n; i += 4 * W) {
    a += f(all, i);
    b += f(all, i + W);
    c += f(all, i + 2 * W);
    d += f(all, i + 3 * W);
  }
  for (; i + W <= n; i += W) a += f(all, i);
  if (i < n) b += f(FirstLanes<T>{n - i}, i);
  return static_cast<double>(simd::sum_lanes((a + b) + (c + d)));
}

// y[i] = f(load, i) for the registers of n elements.
template <class T, class F>
void map(T* y, std::int64_t n, F&& f) {
  constexpr std::int64_t W = Vec<T>::size;
  std::int64_t i = 0;
  for (; i + W <= n; i += W) f(AllLanes<T>{}, i).store(y + i);
  if (i < n) simd::store_first(f(FirstLanes<T>{n - i}, i), y + i, n - i);
}

struct Moments {
  double mean, var;
};

// Pieces have a mean and a sum of squared deviations each, which are joined (Chan, Golub and
// LeVeque 1983).
template <class T>
Moments moments(const Channels& s, std::int64_t channel, const T* x) {
  double count = 0, mean = 0, squares = 0;
  each_piece(s, channel, [&](std::int64_t at, std::int64_t n) {
    const T* p = x + at;
    const double length = static_cast<double>(n);
    const double own =
        sum_of<T>(n, [=](auto load, std::int64_t i) { return load(p + i, T(0)); }) / length;
    const T centre = static_cast<T>(own);
    const double deviations = sum_of<T>(n, [=](auto load, std::int64_t i) {
      const auto d = load(p + i, centre) - Vec<T>(centre);
      return d * d;
    });
    const double step = own - mean, total = count + length;
    mean += step * (length / total);
    squares += deviations + step * step * (count * length / total);
    count = total;
  });
  return {mean, squares / count};
}

// f(element) for every element of a channel.
template <class T, class F>
void each_element(const Channels& s, std::int64_t channel, const T* x, F&& f) {
  each_piece(s, channel, [&](std::int64_t at, std::int64_t n) {
    for (std::int64_t i = at; i < at + n; ++i) f(static_cast<double>(x[i]));
  });
}

// Where squares leave the range of T: a variance below it has lost digits.
template <class T>
constexpr double kTiny = sizeof(T) == 4 ? 1e-30 : 1e-280;

template <class T>
struct Normal {
  T mean, rstd, var;
};

// For a channel whose plain variance is infinite or lost: by double, with the largest element, or
// √eps, near 1.
template <class T>
[[gnu::noinline]] Normal<T> rescaled(const Channels& s, std::int64_t channel, const T* x,
                                     double eps) {
  double size = __builtin_sqrt(eps);
  each_element(s, channel, x, [&](double v) {
    const double a = __builtin_fabs(v);
    if (!(a <= size)) size = a;
  });
  double unit = 1;
  if (size > 0 && size < __builtin_inf()) {
    int exponent;
    (void)__builtin_frexp(size, &exponent);
    unit = __builtin_scalbn(1.0, exponent < -1000 ? 1000 : -exponent);
  }
  const double n = static_cast<double>(s.outer * s.inner);
  double mean = 0, var = 0;
  each_element(s, channel, x, [&](double v) { mean += v * unit / n; });
  each_element(s, channel, x, [&](double v) {
    const double d = v * unit - mean;
    var += d * d / n;
  });
  return {static_cast<T>(mean / unit),
          static_cast<T>(unit / __builtin_sqrt(var + eps * unit * unit)),
          static_cast<T>(var / unit / unit)};
}

template <class T>
Normal<T> normal(const Channels& s, std::int64_t channel, const T* x, double eps) {
  const Moments m = moments(s, channel, x);
  if (!(m.var + eps > kTiny<T> && m.var < __builtin_inf())) return rescaled(s, channel, x, eps);
  return {static_cast<T>(m.mean), static_cast<T>(1 / __builtin_sqrt(m.var + eps)),
          static_cast<T>(m.var)};
}

template <class T>
void normalise(const Channels& s, std::int64_t c, const T* x, T mean, T rstd, const T* weight,
               const T* bias, T* y) {
  const Vec<T> shift(mean), scale(weight ? rstd * weight[c] : rstd), offset(bias ? bias[c] : T(0));
  each_piece(s, c, [&](std::int64_t at, std::int64_t n) {
    map(y + at, n, [=, p = x + at](auto load, std::int64_t i) {
      return fma(load(p + i, T(0)) - shift, scale, offset);
    });
  });
}

template <class T>
void batch_norm(Channels s, std::int64_t begin, std::int64_t end, const T* x, const T* weight,
                const T* bias, double eps, T* y, T* mean, T* rstd, T* var) {
  for (std::int64_t c = begin; c < end; ++c) {
    const Normal<T> z = normal(s, c, x, eps);
    mean[c] = z.mean;
    rstd[c] = z.rstd;
    var[c] = z.var;
    normalise(s, c, x, z.mean, z.rstd, weight, bias, y);
  }
}

template <class T>
void channel_norm(Channels s, std::int64_t begin, std::int64_t end, const T* x, const T* mean,
                  const T* rstd, const T* weight, const T* bias, T* y) {
  for (std::int64_t c = begin; c < end; ++c) normalise(s, c, x, mean[c], rstd[c], weight, bias, y);
}

// Σ g and Σ g (x - mean) rstd.
struct Sums {
  double plain, normal;
};

template <class T>
Sums sums(const Channels& s, std::int64_t c, const T* x, T mean, T rstd, const T* g) {
  Sums total{0, 0};
  const Vec<T> shift(mean), scale(rstd);
  each_piece(s, c, [&](std::int64_t at, std::int64_t n) {
    const T *p = x + at, *q = g + at;
    total.plain += sum_of<T>(n, [=](auto load, std::int64_t i) { return load(q + i, T(0)); });
    total.normal += sum_of<T>(n, [=](auto load, std::int64_t i) {
      return load(q + i, T(0)) * ((load(p + i, mean) - shift) * scale);
    });
  });
  return total;
}

template <class T>
void batch_norm_gradient(Channels s, std::int64_t begin, std::int64_t end, const T* x,
                         const T* mean, const T* rstd, const T* weight, const T* g, bool of_batch,
                         T* gx, T* gweight, T* gbias) {
  using V = Vec<T>;
  const double count = static_cast<double>(s.outer * s.inner);
  const bool summed = gweight || gbias || of_batch;
  for (std::int64_t c = begin; c < end; ++c) {
    const Sums total = summed ? sums(s, c, x, mean[c], rstd[c], g) : Sums{0, 0};
    if (gweight) gweight[c] = static_cast<T>(total.normal);
    if (gbias) gbias[c] = static_cast<T>(total.plain);
    if (!gx) continue;
    const V factor(weight ? rstd[c] * weight[c] : rstd[c]);
    const V shift(mean[c]), scale(rstd[c]), plain(total.plain / count), slope(total.normal / count);
    each_piece(s, c, [&](std::int64_t at, std::int64_t n) {
      const T *p = x + at, *q = g + at;
      if (of_batch)
        map(gx + at, n, [=](auto load, std::int64_t i) {
          const V z = (load(p + i, T(0)) - shift) * scale;
          return factor * (load(q + i, T(0)) - plain - z * slope);
        });
      else
        map(gx + at, n, [=](auto load, std::int64_t i) { return factor * load(q + i, T(0)); });
    });
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(BatchNorm, batch_norm)
XGRAD_FLOATING_KERNEL(ChannelNorm, channel_norm)
XGRAD_FLOATING_KERNEL(BatchNormGradient, batch_norm_gradient)
