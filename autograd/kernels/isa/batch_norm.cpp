#include "autograd/kernels/batch_norm.hpp"

#include "autograd/formulas/simd.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// Elements that are added in their own precision before the double total. They stay in the first
// cache, so that memory is read once for mean and variance.
constexpr std::int64_t kPart = 2048;

// Part of a channel: `lines` of n elements, `pitch` apart, the first at `at`.
struct Part {
  std::int64_t at, lines, n, pitch;
};

// f(part) for all parts of a channel: several planes, or a piece of one.
template <class F>
void each_part(const Channels& s, std::int64_t channel, F&& f) {
  const std::int64_t pitch = s.channels * s.inner,
                     lines = s.inner < 1 || s.inner > kPart ? 1 : kPart / s.inner;
  for (std::int64_t o = 0; o < s.outer; o += lines)
    for (std::int64_t i = 0; i < s.inner; i += kPart)
      f(Part{o * pitch + channel * s.inner + i, s.outer - o < lines ? s.outer - o : lines,
             s.inner - i < kPart ? s.inner - i : kPart, pitch});
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
    using V = Vec<T>;
    alignas(V) static constexpr T lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return where(V::load(lane) < V(static_cast<T>(count)), simd::load_first(p, count), V(rest));
  }
};

// The processor follows a line, but not from one to the next, which may be one of another tensor.
template <class T>
void fetch(const T* p, std::int64_t offset) {
  const auto address =
      reinterpret_cast<__UINTPTR_TYPE__>(p) + static_cast<__UINTPTR_TYPE__>(offset) * sizeof(T);
  for (unsigned line = 0; line < 8; ++line)
    __builtin_prefetch(reinterpret_cast<const void*>(address + 64 * line));
}

// Σ f(load, i) over the registers of a part, where i is the place of the first element; lanes that
// are not there must give 0. `sources` are what f reads.
template <class T, class F, class... P>
double sum_of(const Part& part, F&& f, P... sources) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  const AllLanes<T> all;
  V a(0), b(0), c(0), d(0);
  for (std::int64_t line = 0; line < part.lines; ++line) {
    std::int64_t i = part.at + line * part.pitch;
    const std::int64_t end = i + part.n;
    (fetch(sources, i + part.pitch), ...);
    for (; i + 4 * W <= end; i += 4 * W) {
      a += f(all, i);
      b += f(all, i + W);
      c += f(all, i + 2 * W);
      d += f(all, i + 3 * W);
    }
    for (; i + W <= end; i += W) a += f(all, i);
    if (i < end) b += f(FirstLanes<T>{end - i}, i);
  }
  return static_cast<double>(simd::sum_lanes((a + b) + (c + d)));
}

// y[i] = f(load, i) for the registers of a part.
template <class T, class F, class... P>
void map(const Part& part, T* y, F&& f, P... sources) {
  constexpr std::int64_t W = Vec<T>::size;
  for (std::int64_t line = 0; line < part.lines; ++line) {
    std::int64_t i = part.at + line * part.pitch;
    const std::int64_t end = i + part.n;
    (fetch(sources, i + part.pitch), ...);
    for (; i + W <= end; i += W) f(AllLanes<T>{}, i).store(y + i);
    if (i < end) simd::store_first(f(FirstLanes<T>{end - i}, i), y + i, end - i);
  }
}

struct Moments {
  double mean, var;
};

// Parts have a mean and a sum of squared deviations each, which are joined (Chan, Golub and
// LeVeque 1983).
template <class T>
Moments moments(const Channels& s, std::int64_t channel, const T* x) {
  double count = 0, mean = 0, squares = 0;
  each_part(s, channel, [&](const Part& part) {
    const double length = static_cast<double>(part.lines * part.n);
    const double own = sum_of<T>(
                           part, [=](auto load, std::int64_t i) { return load(x + i, T(0)); }, x) /
                       length;
    const T centre = static_cast<T>(own);
    const double deviations = sum_of<T>(part, [=](auto load, std::int64_t i) {
      const auto d = load(x + i, centre) - Vec<T>(centre);
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
  each_part(s, channel, [&](const Part& part) {
    for (std::int64_t line = 0; line < part.lines; ++line)
      for (std::int64_t i = 0; i < part.n; ++i)
        f(static_cast<double>(x[part.at + line * part.pitch + i]));
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

// Of the channels of a group, which stand in a row.
template <class T>
Normal<T> normal(const Channels& s, std::int64_t group, const T* x, double eps) {
  const Channels whole{s.outer, s.groups(), s.inner * s.together, 1};
  const Moments m = moments(whole, group, x);
  if (!(m.var + eps > kTiny<T> && m.var < __builtin_inf())) return rescaled(whole, group, x, eps);
  return {static_cast<T>(m.mean), static_cast<T>(1 / __builtin_sqrt(m.var + eps)),
          static_cast<T>(m.var)};
}

template <class T>
void normalise(const Channels& s, std::int64_t group, const T* x, T mean, T rstd, const T* weight,
               const T* bias, T* y) {
  for (std::int64_t c = group * s.together; c < (group + 1) * s.together; ++c) {
    const Vec<T> shift(mean), scale(weight ? rstd * weight[c] : rstd),
        offset(bias ? bias[c] : T(0));
    const auto of = [=](auto load, std::int64_t i) {
      return fma(load(x + i, T(0)) - shift, scale, offset);
    };
    each_part(s, c, [&](const Part& part) { map(part, y, of, x); });
  }
}

template <class T>
void batch_norm(Channels s, std::int64_t begin, std::int64_t end, const T* x, const T* weight,
                const T* bias, double eps, T* y, T* mean, T* rstd, T* var) {
  for (std::int64_t group = begin; group < end; ++group) {
    const Normal<T> z = normal(s, group, x, eps);
    mean[group] = z.mean;
    rstd[group] = z.rstd;
    var[group] = z.var;
    normalise(s, group, x, z.mean, z.rstd, weight, bias, y);
  }
}

template <class T>
void channel_norm(Channels s, std::int64_t begin, std::int64_t end, const T* x, const T* mean,
                  const T* rstd, const T* weight, const T* bias, T* y) {
  for (std::int64_t group = begin; group < end; ++group)
    normalise(s, group, x, mean[group], rstd[group], weight, bias, y);
}

// Σ g and Σ g (x - mean) rstd.
struct Sums {
  double plain, normal;
};

template <class T>
Sums sums(const Channels& s, std::int64_t channel, const T* x, T mean, T rstd, const T* g) {
  Sums total{0, 0};
  const Vec<T> shift(mean), scale(rstd);
  const auto plain = [=](auto load, std::int64_t i) { return load(g + i, T(0)); };
  const auto normal = [=](auto load, std::int64_t i) {
    return load(g + i, T(0)) * ((load(x + i, mean) - shift) * scale);
  };
  each_part(s, channel, [&](const Part& part) {
    total.plain += sum_of<T>(part, plain, g, x);
    total.normal += sum_of<T>(part, normal);
  });
  return total;
}

// The gradients of weight and bias, and the sums of a group, of g · weight.
template <class T>
Sums group_sums(const Channels& s, std::int64_t group, const T* x, T mean, T rstd, const T* weight,
                const T* g, T* gweight, T* gbias) {
  Sums total{0, 0};
  for (std::int64_t c = group * s.together; c < (group + 1) * s.together; ++c) {
    const Sums own = sums(s, c, x, mean, rstd, g);
    if (gweight) gweight[c] = static_cast<T>(own.normal);
    if (gbias) gbias[c] = static_cast<T>(own.plain);
    const double factor = weight ? static_cast<double>(weight[c]) : 1;
    total.plain += own.plain * factor;
    total.normal += own.normal * factor;
  }
  return total;
}

template <class T>
void batch_norm_gradient(Channels s, std::int64_t begin, std::int64_t end, const T* x,
                         const T* mean, const T* rstd, const T* weight, const T* g, bool of_batch,
                         T* gx, T* gweight, T* gbias) {
  using V = Vec<T>;
  const double count = static_cast<double>(s.outer * s.inner * s.together);
  const bool summed = gweight || gbias || of_batch;
  for (std::int64_t group = begin; group < end; ++group) {
    const T m = mean[group], r = rstd[group];
    const Sums total =
        summed ? group_sums(s, group, x, m, r, weight, g, gweight, gbias) : Sums{0, 0};
    if (!gx) continue;
    const V shift(m), scale(r), plain(total.plain / count), slope(total.normal / count);
    for (std::int64_t c = group * s.together; c < (group + 1) * s.together; ++c) {
      const V factor(weight ? weight[c] : T(1));
      const auto of_all = [=](auto load, std::int64_t i) {
        const V z = (load(x + i, T(0)) - shift) * scale;
        return scale * (factor * load(g + i, T(0)) - plain - z * slope);
      };
      const auto of_one = [=](auto load, std::int64_t i) {
        return scale * (factor * load(g + i, T(0)));
      };
      each_part(s, c, [&](const Part& part) {
        if (of_batch)
          map(part, gx, of_all, x, g);
        else
          map(part, gx, of_one, g);
      });
    }
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(BatchNorm, batch_norm)
XGRAD_FLOATING_KERNEL(ChannelNorm, channel_norm)
XGRAD_FLOATING_KERNEL(BatchNormGradient, batch_norm_gradient)
