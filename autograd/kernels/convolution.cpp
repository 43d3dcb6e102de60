#include "autograd/kernels/convolution.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/core/memory.hpp"
#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/taps.hpp"

// Part of the source, with zeros around it, is copied to where each tap reads at a fixed distance
// from the place of the result. The place of a result counts through whole rows of the copy, so
// that the kernels see one line; what they compute between the ends of two rows is dropped, or has
// cotangents of zero. A stride puts the elements of the copy apart by their remainder, and the
// distances hold again.
namespace autograd::kernels {
namespace {

constexpr std::int64_t kPanel = 8;  // rows of weights side by side

// Elements without a value yet.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::int64_t n)
      : bytes_(static_cast<std::size_t>(n) * sizeof(T)),
        data_(static_cast<T*>(detail::pool_allocate(bytes_))) {}
  Buffer(const Buffer&) = delete;
  ~Buffer() { detail::pool_deallocate(data_, bytes_); }
  T* data() { return data_; }

 private:
  std::size_t bytes_;
  T* data_;
};

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

Axis forward_axis(const Convolution& c, std::size_t d) {
  return {.results = c.out[d],
          .step = c.stride[d],
          .taps = c.kernel[d],
          .offset = -c.before[d],
          .offset_step = c.dilation[d],
          .source = c.in[d]};
}

// The elements phase, phase + stride, … of x: they meet every tap_step-th tap, and y in steps of
// one.
Axis transposed_axis(const Convolution& c, std::size_t d, std::int64_t phase) {
  const std::int64_t stride = c.stride[d], dilation = c.dilation[d], kernel = c.kernel[d],
                     period = stride / std::gcd(stride, dilation), start = phase + c.before[d];
  std::int64_t first = 0;
  while (first < std::min(period, kernel) && (start - first * dilation) % stride != 0) ++first;
  const bool met = first < std::min(period, kernel);
  return {.results = (c.in[d] - phase + stride - 1) / stride,
          .result_first = phase,
          .result_step = stride,
          .step = 1,
          .taps = met ? (kernel - first + period - 1) / period : 0,
          .tap_first = first,
          .tap_step = period,
          .offset = met ? (start - first * dilation) / stride : 0,
          .offset_step = -period * dilation / stride,
          .source = c.out[d]};
}

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
  std::int64_t elements(std::int64_t channels) const { return channels * channel + kTapColumns; }
  static constexpr std::int64_t kGap = 8;
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
  std::fill_n(to, kTapColumns, T(0));
}

detail::PooledVector<Run> runs_of(const TapSum& sum, const Tile& tile, const Copy& copy) {
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
detail::PooledVector<Tile> tiles_of(const TapSum& sum, std::int64_t images, std::int64_t elements) {
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

// Weights as `SumTaps` reads them: panels of rows, in each (channel, tap, row).
// Weight (result r, source channel s, tap) is at r result_step + s source_step + tap.
template <class T>
void pack(const TapSum& sum, const Copy& copy, const Extents& kernel, const T* w,
          std::int64_t results, std::int64_t result_step, std::int64_t source_step, T* to) {
  for (std::int64_t first = 0; first < results; first += kPanel) {
    const std::int64_t rows = std::min(kPanel, results - first);
    for (std::int64_t s = 0; s < sum.channels; ++s)
      sum.for_each_tap(copy, kernel, [&](std::int64_t tap, std::int64_t) {
        for (std::int64_t r = 0; r < rows; ++r)
          *to++ = w[(first + r) * result_step + s * source_step + tap];
      });
  }
}

template <class T>
void run_tile(const TapSum& sum, const Tile& tile, const T* source, const T* panels, const T* bias,
              std::int64_t results, T* out) {
  const Copy copy(sum.axes, tile);
  const detail::PooledVector<std::int64_t> offsets = sum.offsets(copy);
  const detail::PooledVector<Run> runs = runs_of(sum, tile, copy);
  const auto taps = static_cast<std::int64_t>(offsets.size());
  Buffer<T> from(copy.elements(sum.channels));
  fill_copy(sum, tile, copy, source, from.data());
  const std::int64_t step = sum.axes[2].result_step;
  alignas(64) T block[kPanel * kTapColumns];
  auto run = runs.begin();
  for (std::int64_t begin = 0; begin < copy.places; begin += kTapColumns) {
    const std::int64_t end = std::min(begin + kTapColumns, copy.places);
    while (run->place + run->length <= begin) ++run;
    if (run->place >= end) continue;
    for (std::int64_t first = 0; first < results; first += kPanel) {
      const std::int64_t rows = std::min(kPanel, results - first);
      SumTaps<T>::here(panels + first * taps, rows, offsets.data(), taps, from.data() + begin,
                       end - begin, block);
      for (auto r = run; r != runs.end() && r->place < end; ++r) {
        const std::int64_t skipped = std::max(begin - r->place, std::int64_t{0}),
                           length = std::min(r->length, end - r->place) - skipped;
        const T* sums = block + (r->place + skipped - begin);
        T* to = out + r->at + skipped * step + first * sum.result_channel;
        for (std::int64_t i = 0; i < rows; ++i, sums += kTapColumns, to += sum.result_channel) {
          const T b = bias ? bias[first + i] : T(0);
          if (step == 1)
            for (std::int64_t j = 0; j < length; ++j) to[j] = sums[j] + b;
          else
            for (std::int64_t j = 0; j < length; ++j) to[j * step] = sums[j] + b;
        }
      }
    }
  }
}

double cost_of(const Convolution& c) {
  double total = 0.02 * static_cast<double>(c.in_channels * c.out_channels);
  for (std::size_t d = 0; d < 3; ++d) total *= static_cast<double>(c.kernel[d] * c.out[d]);
  return total * static_cast<double>(c.images * c.groups);
}

std::int64_t volume(const Extents& e) { return e[0] * e[1] * e[2]; }

// One sum for all images and groups: `results` channels from `sum.channels` of the source.
template <class T>
void run_sum(const Convolution& c, const TapSum& sum, const T* source, const T* w, const T* bias,
             std::int64_t results, std::int64_t result_step, std::int64_t source_step, T* out) {
  const detail::PooledVector<Tile> tiles = tiles_of(sum, c.images, 1 << 16);
  if (tiles.empty() || results == 0) return;
  const std::int64_t packed = sum.channels * sum.taps() * results,
                     weights = c.in_channels * c.out_channels * volume(c.kernel);
  Buffer<T> panels(c.groups * packed);
  for (std::int64_t g = 0; g < c.groups; ++g)
    pack(sum, Copy(sum.axes, tiles[0]), c.kernel, w + g * weights, results, result_step,
         source_step, panels.data() + g * packed);
  const auto count = static_cast<std::int64_t>(tiles.size()) * c.groups;
  parallel_for(count, 1, cost_of(c) / static_cast<double>(count),
               [&](std::int64_t begin, std::int64_t end) {
                 for (; begin < end; ++begin) {
                   const std::int64_t g = begin % c.groups;
                   run_tile(sum, tiles[static_cast<std::size_t>(begin / c.groups)],
                            source + g * sum.channels * sum.source_channel,
                            panels.data() + g * packed, bias ? bias + g * results : nullptr,
                            results, out + g * results * sum.result_channel);
                 }
               });
}

TapSum forward_sum(const Convolution& c) {
  return {.axes = {forward_axis(c, 0), forward_axis(c, 1), forward_axis(c, 2)},
          .channels = c.in_channels,
          .source_image = c.groups * c.in_channels * volume(c.in),
          .source_channel = volume(c.in),
          .result_image = c.groups * c.out_channels * volume(c.out),
          .result_channel = volume(c.out),
          .result_size = c.out};
}

// Σ g[r][j] source[j + offset[k]] over the results alone. Between them the source may hold what is
// not finite, and that times zero is NaN.
template <class T>
void correlate_runs(const detail::PooledVector<Run>& runs,
                    const detail::PooledVector<std::int64_t>& offsets, const T* source, const T* g,
                    std::int64_t pitch, std::int64_t rows, T* out) {
  for (std::int64_t r = 0; r < rows; ++r, g += pitch)
    for (const std::int64_t offset : offsets) {
      T total = 0;
      for (const Run& run : runs)
        for (std::int64_t j = run.place; j < run.place + run.length; ++j)
          total += g[j] * source[j + offset];
      *out++ += total;
    }
}

template <class T>
bool all_finite(const T* x, std::int64_t n) {
  // By bits, which compilers make vectors of.
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits exponent = sizeof(T) == 4 ? Bits{0x7f800000} : static_cast<Bits>(0x7ffull << 52);
  Bits found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof bits);
    found |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return found == 0;
}

// Adds a tile's share of the gradient of one group's weight to `w`.
template <class T>
void correlate_tile(const Convolution& c, const TapSum& sum, const Tile& tile, const T* x,
                    const T* y, T* w) {
  const Copy copy(sum.axes, tile);
  const detail::PooledVector<std::int64_t> offsets = sum.offsets(copy);
  const detail::PooledVector<Run> runs = runs_of(sum, tile, copy);
  const auto taps = static_cast<std::int64_t>(offsets.size());
  const std::int64_t columns = (copy.places + kTapLanes - 1) / kTapLanes * kTapLanes;
  Buffer<T> from(copy.elements(sum.channels)), cotangents(c.out_channels * columns);
  fill_copy(sum, tile, copy, x, from.data());
  for (std::int64_t r = 0; r < c.out_channels; ++r) {
    T* row = cotangents.data() + r * columns;
    std::int64_t filled = 0;
    for (const Run& run : runs) {
      std::fill(row + filled, row + run.place, T(0));
      std::copy_n(y + run.at + r * sum.result_channel, run.length, row + run.place);
      filled = run.place + run.length;
    }
    std::fill(row + filled, row + columns, T(0));
  }
  if (all_finite(from.data(), copy.elements(sum.channels)))
    CorrelateTaps<T>::here(cotangents.data(), c.out_channels, columns, offsets.data(), taps,
                           from.data(), columns, w);
  else
    correlate_runs(runs, offsets, from.data(), cotangents.data(), columns, c.out_channels, w);
}

}  // namespace

template <class T>
void convolve(const Convolution& c, const T* x, const T* w, const T* bias, T* y) {
  const std::int64_t taps = volume(c.kernel);
  run_sum(c, forward_sum(c), x, w, bias, c.out_channels, c.in_channels * taps, taps, y);
}

template <class T>
void convolve_transposed(const Convolution& c, const T* y, const T* w, const T* bias, T* x) {
  const std::int64_t taps = volume(c.kernel);
  TapSum sum{.axes = {},
             .channels = c.out_channels,
             .source_image = c.groups * c.out_channels * volume(c.out),
             .source_channel = volume(c.out),
             .result_image = c.groups * c.in_channels * volume(c.in),
             .result_channel = volume(c.in),
             .result_size = c.in};
  for (std::int64_t f0 = 0; f0 < std::min(c.stride[0], c.in[0]); ++f0)
    for (std::int64_t f1 = 0; f1 < std::min(c.stride[1], c.in[1]); ++f1)
      for (std::int64_t f2 = 0; f2 < std::min(c.stride[2], c.in[2]); ++f2) {
        sum.axes = {transposed_axis(c, 0, f0), transposed_axis(c, 1, f1),
                    transposed_axis(c, 2, f2)};
        run_sum(c, sum, y, w, bias, c.in_channels, taps, c.in_channels * taps, x);
      }
}

template <class T>
void convolve_weight(const Convolution& c, const T* x, const T* y, T* w) {
  constexpr std::int64_t most = 16, elements = 1 << 23;
  const TapSum sum = forward_sum(c);
  const detail::PooledVector<Tile> tiles = tiles_of(sum, c.images, 1 << 18);
  const auto count = static_cast<std::int64_t>(tiles.size());
  const std::int64_t group = c.in_channels * c.out_channels * volume(c.kernel),
                     size = c.groups * group;
  std::fill_n(w, size, T(0));
  if (count == 0 || size == 0) return;
  // Shares of a fixed number of tiles, added in order.
  const std::int64_t shares = std::clamp(elements / size, std::int64_t{1}, std::min(most, count));
  Buffer<T> parts((shares - 1) * size);
  std::fill_n(parts.data(), (shares - 1) * size, T(0));
  const auto part = [&](std::int64_t s) { return s == 0 ? w : parts.data() + (s - 1) * size; };
  parallel_for(shares * c.groups, 1, cost_of(c) / static_cast<double>(shares * c.groups),
               [&](std::int64_t begin, std::int64_t end) {
                 for (; begin < end; ++begin) {
                   const std::int64_t s = begin / c.groups, g = begin % c.groups;
                   for (std::int64_t t = s * count / shares; t < (s + 1) * count / shares; ++t)
                     correlate_tile(c, sum, tiles[static_cast<std::size_t>(t)],
                                    x + g * c.in_channels * sum.source_channel,
                                    y + g * c.out_channels * sum.result_channel,
                                    part(s) + g * group);
                 }
               });
  for (std::int64_t s = 1; s < shares; ++s) Add<T>::run(w, part(s), size);
}

template void convolve(const Convolution&, const float*, const float*, const float*, float*);
template void convolve(const Convolution&, const double*, const double*, const double*, double*);
template void convolve_transposed(const Convolution&, const float*, const float*, const float*,
                                  float*);
template void convolve_transposed(const Convolution&, const double*, const double*, const double*,
                                  double*);
template void convolve_weight(const Convolution&, const float*, const float*, float*);
template void convolve_weight(const Convolution&, const double*, const double*, double*);
}  // namespace autograd::kernels
