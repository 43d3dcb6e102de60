#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>

#include "autograd/core/internal/buffer.hpp"
#include "autograd/kernels/convolution.hpp"
#include "autograd/kernels/taps.hpp"

// Part of the source, with zeros around it, is copied to where each tap reads at a fixed distance
// from the place of the result. The place of a result counts through whole rows of the copy, so
// that the kernels see one line; what they compute between the ends of two rows is dropped, or has
// cotangents of zero. A stride puts the elements of the copy apart by their remainder, and the
// distances hold again.
namespace autograd::kernels {

inline constexpr std::int64_t kPanel = 8;  // rows of weights side by side

using detail::Buffer;

// A sum over taps along one axis: result j takes, of tap t, the element
// j step + offset + t offset_step of the source.
struct Axis {
  std::int64_t results, result_first = 0, result_step = 1;  // result j stands at first + j step
  std::int64_t step;
  std::int64_t taps, tap_first = 0, tap_step = 1;  // tap t is the kernel's first + t step
  std::int64_t offset, offset_step, source;

  std::int64_t span() const { return taps == 0 ? 0 : (taps - 1) * std::abs(offset_step); }
  std::int64_t lowest() const { return offset_step < 0 ? offset - span() : offset; }
  // Taps begin at elements that differ by multiples of this.
  std::int64_t gap() const { return std::gcd(offset_step, step); }
  std::int64_t phases() const { return std::min(step / gap(), span() / gap() + 1); }
};
using Axes3 = std::array<Axis, 3>;

// A part of the results: some images, and from `begin` on some of each axis.
struct Tile {
  std::int64_t image, images;
  Extents begin, count;
};

// The copy of what a tile takes: (channel, phase of each axis, image, place on each axis).
struct Copy {
  Copy(const Axes3& axes, const Tile& tile) {
    plane = tile.images;
    channel = 1;
    for (std::size_t d = 0; d < 3; ++d) {
      phases[d] = axes[d].phases();
      size[d] = tile.count[d] + axes[d].span() / axes[d].step;
      plane *= size[d];
      channel *= phases[d];
    }
    // Channels at an odd distance do not fall onto the same lines of the first cache.
    channel = (channel * plane + kGap - 1) / kGap / 2 * 2 * kGap + kGap;
    const auto& n = tile.count;
    const bool any = tile.images * n[0] * n[1] * n[2] > 0;
    places = any ? place(tile.images - 1, n[0] - 1, n[1] - 1) + n[2] : 0;
  }
  std::int64_t place(std::int64_t image, std::int64_t z, std::int64_t y) const {
    return ((image * size[0] + z) * size[1] + y) * size[2];
  }
  // Kernels read whole blocks.
  std::int64_t elements(std::int64_t channels) const { return channels * channel + kTail; }
  static constexpr std::int64_t kGap = 8, kTail = 2 * kTapColumns;
  Extents phases, size;
  std::int64_t plane, channel;
  std::int64_t places;  // up to the last result
};

// Results that lie side by side, in the copy from `place` and in the result from `at` on.
struct Run {
  std::int64_t place, length, at;
};

// A sum over taps of one group: what all its tiles share.
struct TapSum {
  Axes3 axes;
  std::int64_t channels;                      // of the source, in the group
  std::int64_t source_image, source_channel;  // distances in the source
  std::int64_t result_image, result_channel;  // and in the result
  Extents result_size;

  std::int64_t taps() const { return axes[0].taps * axes[1].taps * axes[2].taps; }
  // f(tap of the kernel, distance) for the taps of one channel, in order.
  template <class F>
  void for_each_tap(const Copy& copy, const Extents& kernel, F f) const {
    std::int64_t from[3];
    for (from[0] = 0; from[0] < axes[0].taps; ++from[0])
      for (from[1] = 0; from[1] < axes[1].taps; ++from[1])
        for (from[2] = 0; from[2] < axes[2].taps; ++from[2]) {
          std::int64_t tap = 0, phase = 0, place = 0;
          for (std::size_t d = 0; d < 3; ++d) {
            const Axis& a = axes[d];
            const std::int64_t shift = a.offset + from[d] * a.offset_step - a.lowest();
            tap = tap * kernel[d] + a.tap_first + from[d] * a.tap_step;
            phase = phase * copy.phases[d] + shift % a.step / a.gap();
            place = place * copy.size[d] + shift / a.step;
          }
          f(tap, phase * copy.plane + place);
        }
  }
  detail::PooledVector<std::int64_t> offsets(const Copy& copy) const {
    detail::PooledVector<std::int64_t> all;
    all.reserve(static_cast<std::size_t>(channels * taps()));
    for (std::int64_t c = 0; c < channels; ++c)
      for_each_tap(copy, {1, 1, 1}, [&](std::int64_t, std::int64_t distance) {
        all.push_back(c * copy.channel + distance);
      });
    return all;
  }
};

// Of one group: weight (result r, source channel s, tap) is at r result_step + s source_step + tap.
template <class T>
struct Weights {
  const T* w;
  std::int64_t results, result_step, source_step;

  const T* at(std::int64_t r, std::int64_t s) const {
    return w + r * result_step + s * source_step;
  }
};

// Every step-th element of a row, which is zero outside of [0, size).
template <class T>
void copy_row(const T* row, std::int64_t first, std::int64_t step, std::int64_t size, T* to,
              std::int64_t count) {
  std::int64_t i = 0;
  for (; i < count && first < 0; ++i, first += step) to[i] = T(0);
  const std::int64_t inside =
      std::clamp((size - first + step - 1) / step, std::int64_t{0}, count - i);
  if (step == 1)
    std::copy_n(row + first, inside, to + i);
  else
    for (std::int64_t k = 0; k < inside; ++k) to[i + k] = row[first + k * step];
  std::fill(to + i + inside, to + count, T(0));
}

template <class T>
void fill_copy(const TapSum& sum, const Tile& tile, const Copy& copy, const T* source, T* to) {
  const auto& a = sum.axes;
  Extents first;  // in the source
  for (std::size_t d = 0; d < 3; ++d) first[d] = tile.begin[d] * a[d].step + a[d].lowest();
  const std::int64_t used = copy.phases[0] * copy.phases[1] * copy.phases[2] * copy.plane;
  for (std::int64_t c = 0; c < sum.channels; ++c) {
    for (std::int64_t f0 = 0; f0 < copy.phases[0]; ++f0)
      for (std::int64_t f1 = 0; f1 < copy.phases[1]; ++f1)
        for (std::int64_t f2 = 0; f2 < copy.phases[2]; ++f2)
          for (std::int64_t n = 0; n < tile.images; ++n) {
            const T* image = source + (tile.image + n) * sum.source_image + c * sum.source_channel;
            for (std::int64_t z = 0; z < copy.size[0]; ++z)
              for (std::int64_t y = 0; y < copy.size[1]; ++y, to += copy.size[2]) {
                const std::int64_t sz = first[0] + z * a[0].step + f0 * a[0].gap(),
                                   sy = first[1] + y * a[1].step + f1 * a[1].gap();
                if (sz < 0 || sz >= a[0].source || sy < 0 || sy >= a[1].source)
                  std::fill_n(to, copy.size[2], T(0));
                else
                  copy_row(image + (sz * a[1].source + sy) * a[2].source,
                           first[2] + f2 * a[2].gap(), a[2].step, a[2].source, to, copy.size[2]);
              }
          }
    to = std::fill_n(to, copy.channel - used, T(0));
  }
  std::fill_n(to, Copy::kTail, T(0));
}

inline detail::PooledVector<Run> runs_of(const TapSum& sum, const Tile& tile, const Copy& copy) {
  detail::PooledVector<Run> runs;
  const auto stands = [&](std::size_t d, std::int64_t j) {
    return sum.axes[d].result_first + (tile.begin[d] + j) * sum.axes[d].result_step;
  };
  for (std::int64_t n = 0; n < tile.images; ++n)
    for (std::int64_t z = 0; z < tile.count[0]; ++z)
      for (std::int64_t y = 0; y < tile.count[1]; ++y)
        runs.push_back(
            {copy.place(n, z, y), tile.count[2],
             (tile.image + n) * sum.result_image +
                 (stands(0, z) * sum.result_size[1] + stands(1, y)) * sum.result_size[2] +
                 stands(2, 0)});
  return runs;
}

// Tiles whose copy stays in the second cache: several small images, or some of the rows of a large
// one. They depend on the sizes alone.
inline detail::PooledVector<Tile> tiles_of(const TapSum& sum, std::int64_t images,
                                           std::int64_t elements) {
  constexpr std::int64_t places = 2048, least = 4;
  detail::PooledVector<Tile> tiles;
  Tile whole{0, 1, {}, {}};
  for (std::size_t d = 0; d < 3; ++d) whole.count[d] = sum.axes[d].results;
  if (whole.count[0] * whole.count[1] * whole.count[2] == 0) return tiles;
  const Copy one(sum.axes, whole);
  const std::int64_t size = std::max<std::int64_t>(sum.channels * one.channel, 1);
  if (size <= elements) {
    const std::int64_t some =
        std::max<std::int64_t>(std::min(elements / size, places / one.plane), 1);
    for (std::int64_t n = 0; n < images; n += some) {
      tiles.push_back(whole);
      tiles.back().image = n;
      tiles.back().images = std::min(some, images - n);
    }
    return tiles;
  }
  const std::size_t cut = whole.count[0] > 1 ? 0 : whole.count[1] > 1 ? 1 : 2;
  const std::int64_t rows = whole.count[cut],
                     fit = elements * one.size[cut] / size - one.size[cut] + rows,
                     parts = (rows + std::max(least, fit) - 1) / std::max(least, fit),
                     some = (rows + parts - 1) / parts;
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t row = 0; row < rows; row += some) {
      tiles.push_back(whole);
      tiles.back().image = n;
      tiles.back().begin[cut] = row;
      tiles.back().count[cut] = std::min(some, rows - row);
    }
  return tiles;
}

}  // namespace autograd::kernels
