#include <cstring>
#include <type_traits>

#include "autograd/formulas/simd.hpp"
#include "autograd/kernels/isa/lanes.hpp"
#include "autograd/kernels/taps.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// The transform of a patch along one axis.
template <class V>
void transform_axis(V& d0, V& d1, V& d2, V& d3) {
  const V a = d0 - d2, b = d1 + d2, c = d2 - d1, d = d1 - d3;
  d0 = a, d1 = b, d2 = c, d3 = d;
}

// The transform along the rows of patches, each element to its own of 16 places.
template <class T>
void store_transformed(Vec<T> (&d)[4][4], std::int64_t step, T* out) {
  for (int i = 0; i < 4; ++i) {
    transform_axis(d[i][0], d[i][1], d[i][2], d[i][3]);
    for (int k = 0; k < 4; ++k) d[i][k].store(out + (4 * i + k) * step);
  }
}

template <class T>
void transform_patches(const T* x, const std::int64_t* line, std::int64_t n, std::int64_t step,
                       T* out) {
  using V = Vec<T>;
  for (std::int64_t j = 0; j < n; j += V::size) {
    V d[4][4];
    for (int i = 0; i < 4; ++i)
      for (int k = 0; k < 4; k += 2) {
        const T* at = x + line[i] + 2 * j + k;
        const V low = V::load(at), high = V::load(at + V::size);
        d[i][k] = every_second<T, 0>(low, high, Lanes<T>());
        d[i][k + 1] = every_second<T, 1>(low, high, Lanes<T>());
      }
    for (int k = 0; k < 4; ++k) transform_axis(d[0][k], d[1][k], d[2][k], d[3][k]);
    store_transformed<T>(d, step, out + j);
  }
}

// One axis of the transform of filters.
template <class V>
void transform_filter(V g0, V g1, V g2, V (&to)[4]) {
  const V sum = g0 + g2, half(0.5F);
  to[0] = g0;
  to[1] = (sum + g1) * half;
  to[2] = (sum - g1) * half;
  to[3] = g2;
}

// A register of filters, by functions for one.
template <class T, class Load, class Store>
void transform_filters(const T* taps, std::int64_t n, std::int64_t step, T* out, Load load,
                       Store store) {
  Vec<T> columns[3][4], row[4];
  for (int k = 0; k < 3; ++k)
    transform_filter(load(taps + k * n), load(taps + (k + 3) * n), load(taps + (k + 6) * n),
                     columns[k]);
  for (int i = 0; i < 4; ++i) {
    transform_filter(columns[0][i], columns[1][i], columns[2][i], row);
    for (int k = 0; k < 4; ++k) store(row[k], out + (4 * i + k) * step);
  }
}

template <class T>
void transform_taps(const T* taps, std::int64_t n, std::int64_t step, T* out) {
  using V = Vec<T>;
  std::int64_t i = 0;
  for (; i + V::size <= n; i += V::size)
    transform_filters(
        taps + i, n, step, out + i, [](const T* p) { return V::load(p); },
        [](V x, T* p) { x.store(p); });
  const std::int64_t rest = n - i;
  if (rest > 0)
    transform_filters(
        taps + i, n, step, out + i, [=](const T* p) { return simd::load_first(p, rest); },
        [=](V x, T* p) { simd::store_first(x, p, rest); });
}

// As much of x as `count` elements are.
template <class T>
void put(Vec<T> x, T* p, std::int64_t count) {
  if (count >= Vec<T>::size)
    x.store(p);
  else if (count > 0)
    simd::store_first(x, p, count);
}

template <class T>
void transform_sums(const T* m, std::int64_t step, std::int64_t rows, const T* bias,
                    std::int64_t length, std::int64_t lines, std::int64_t width,
                    std::int64_t channel, T* out) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, m += kTapColumns, out += channel) {
    const V b(bias ? bias[r] : T(0));
    for (std::int64_t j = 0; 2 * j < length; j += V::size) {
      V s[2][4];
      for (int k = 0; k < 4; ++k) {
        const auto at = [&](int i) { return V::load(m + (4 * i + k) * step + j); };
        const V p = at(1), q = at(2);
        s[0][k] = at(0) + p + q;
        s[1][k] = p - q - at(3);
      }
      const std::int64_t left = length - 2 * j;
      for (std::int64_t i = 0; i < lines; ++i) {
        const V even = s[i][0] + s[i][1] + s[i][2] + b, odd = s[i][1] - s[i][2] - s[i][3] + b;
        T* to = out + i * width + 2 * j;
        put(in_turn<T, 0>(even, odd, Lanes<T>()), to, left);
        put(in_turn<T, V::size / 2>(even, odd, Lanes<T>()), to + V::size, left - V::size);
      }
    }
  }
}

// Rows of a square of registers become its columns.
template <class T>
void transpose(Vec<T> (&v)[Vec<T>::size]) {
  constexpr int W = static_cast<int>(Vec<T>::size);
  Vec<T> next[W];
#pragma GCC unroll 4
  for (int done = 1; done < W; done *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < W / 2; ++i) {
      next[2 * i] = in_turn<T, 0>(v[i], v[i + W / 2], Lanes<T>());
      next[2 * i + 1] = in_turn<T, W / 2>(v[i], v[i + W / 2], Lanes<T>());
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) v[i] = next[i];
  }
}

template <class T>
void channels_last(const T* x, std::int64_t channel_step, std::int64_t channels, std::int64_t n,
                   std::int64_t pitch, T* out) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  for (std::int64_t c = 0; c < kTapLanes; c += W)
    for (std::int64_t j = 0; j < n; j += W) {
      const std::int64_t first = j + W <= n ? j : n < W ? 0 : n - W, count = n < W ? n : W;
      V v[W];
      if (count == W && c + W <= channels) {
#pragma GCC unroll 16
        for (std::int64_t i = 0; i < W; ++i) v[i] = V::load(x + (c + i) * channel_step + first);
      } else {
        for (std::int64_t i = 0; i < W; ++i) {
          T lanes[W] = {};
          for (std::int64_t k = 0; k < count && c + i < channels; ++k)
            lanes[k] = x[(c + i) * channel_step + first + k];
          v[i] = V::load(lanes);
        }
      }
      transpose<T>(v);
      for (std::int64_t i = 0; i < count; ++i) v[i].store(out + (first + i) * pitch + c);
    }
}

template <class T>
void transform_pixels(const T* x, std::int64_t line, std::int64_t pitch, std::int64_t n,
                      std::int64_t step, T* out) {
  using V = Vec<T>;
  for (; n > 0; --n, x += 2 * pitch, out += pitch)
    for (std::int64_t c = 0; c < pitch; c += V::size) {
      V d[4][4];
      for (int k = 0; k < 4; ++k) {
        for (int i = 0; i < 4; ++i) d[i][k] = V::load(x + i * line + k * pitch + c);
        transform_axis(d[0][k], d[1][k], d[2][k], d[3][k]);
      }
      store_transformed<T>(d, step, out + c);
    }
}

template <class T>
void spread_pixels(const T* y, std::int64_t line, std::int64_t pitch, std::int64_t n,
                   std::int64_t step, T* out) {
  using V = Vec<T>;
  for (; n > 0; --n, y += 2 * pitch, out += pitch)
    for (std::int64_t c = 0; c < pitch; c += V::size) {
      V d[4][2];
      for (int k = 0; k < 2; ++k) {
        const V a = V::load(y + k * pitch + c), b = V::load(y + line + k * pitch + c);
        d[0][k] = a, d[1][k] = a + b, d[2][k] = a - b, d[3][k] = -b;
      }
      for (int i = 0; i < 4; ++i) {
        const auto to = [&](int k) { return out + (4 * i + k) * step + c; };
        d[i][0].store(to(0));
        (d[i][0] + d[i][1]).store(to(1));
        (d[i][0] - d[i][1]).store(to(2));
        (-d[i][1]).store(to(3));
      }
    }
}

template <class T>
void moderate(const T* x, std::int64_t n, bool* all) {
  // By bits, which compilers make vectors of.
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits exponent = sizeof(T) == 4 ? Bits{0x7f800000} : static_cast<Bits>(0x7ffull << 52),
                 limit = sizeof(T) == 4 ? Bits{(127 + 48) << 23}
                                        : static_cast<Bits>((1023ull + 48) << 52);
  Bits found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof bits);
    found |= static_cast<Bits>((bits & exponent) >= limit);
  }
  *all = found == 0;
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(TransformPatches, transform_patches)
XGRAD_FLOATING_KERNEL(TransformTaps, transform_taps)
XGRAD_FLOATING_KERNEL(TransformSums, transform_sums)
XGRAD_FLOATING_KERNEL(ChannelsLast, channels_last)
XGRAD_FLOATING_KERNEL(TransformPixels, transform_pixels)
XGRAD_FLOATING_KERNEL(SpreadPixels, spread_pixels)
XGRAD_FLOATING_KERNEL(Moderate, moderate)
