#pragma once

#include "autograd/kernels/batch_norm.hpp"
#include "autograd/kernels/isa/registers.hpp"

/// What the kernels of batch normalisation are made of. For the file that defines them.
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
  Running<T> sums;
  for (std::int64_t line = 0; line < part.lines; ++line) {
    const std::int64_t i = part.at + line * part.pitch;
    (fetch(sources, i + part.pitch), ...);
    sums.add(i, i + part.n, f);
  }
  return static_cast<double>(simd::sum_lanes(sums.total()));
}

// y[i] = f(load, i) for the registers of a part.
template <class T, class F, class... P>
void map(const Part& part, T* y, F&& f, P... sources) {
  for (std::int64_t line = 0; line < part.lines; ++line) {
    const std::int64_t first = part.at + line * part.pitch;
    (fetch(sources, first + part.pitch), ...);
    each_register<T>(part.n, [&](auto lanes, std::int64_t k) {
      lanes.store(f(lanes, first + k), y + first + k);
    });
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

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA
