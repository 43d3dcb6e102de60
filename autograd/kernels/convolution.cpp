#include "autograd/kernels/convolution.hpp"

#include <algorithm>
#include <span>

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/tap_sum.hpp"
#include "autograd/kernels/winograd.hpp"

namespace autograd::kernels {
namespace {

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

// Weights as `SumTaps` reads them: panels of rows, in each (channel, tap, row).
template <class T>
void pack(const TapSum& sum, const Extents& kernel, const Weights<T>& weights, T* to) {
  const Copy copy(sum.axes, {});  // the order of taps does not depend on the sizes
  for (std::int64_t first = 0; first < weights.results; first += kPanel) {
    const std::int64_t end = std::min(first + kPanel, weights.results);
    for (std::int64_t s = 0; s < sum.channels; ++s)
      sum.for_each_tap(copy, kernel, [&](std::int64_t tap, std::int64_t) {
        for (std::int64_t r = first; r < end; ++r) *to++ = weights.at(r, s)[tap];
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
void run_sum(const Convolution& c, const TapSum& sum, const T* source, const Weights<T>& weights,
             const T* bias, T* out) {
  const std::int64_t results = weights.results,
                     group = c.in_channels * c.out_channels * volume(c.kernel);
  const bool by_blocks = goes_by_blocks<T>(sum, results) && moderate(weights.w, c.groups * group);
  const TapSum parts = by_blocks ? blocks_of(sum) : sum;
  const detail::PooledVector<Tile> tiles = tiles_of(parts, c.images, 1 << 16);
  if (tiles.empty() || results == 0) return;
  const std::int64_t packed = sum.channels * parts.taps() * results;
  Buffer<T> panels(c.groups * packed);
  const auto of_group = [&](std::int64_t g) {
    Weights<T> own = weights;
    own.w += g * group;
    return own;
  };
  for (std::int64_t g = 0; g < c.groups; ++g)
    if (by_blocks)
      pack_blocks(sum, of_group(g), panels.data() + g * packed);
    else
      pack(sum, c.kernel, of_group(g), panels.data() + g * packed);
  // Channels from `first` on; a tile may be cut into some, as each is computed by itself.
  const auto run = [&](const Tile& tile, std::int64_t g, std::int64_t first, std::int64_t rows) {
    const T *from = source + g * sum.channels * sum.source_channel,
            *own = panels.data() + g * packed + first * sum.channels * parts.taps(),
            *added = bias ? bias + g * results + first : nullptr;
    T* to = out + (g * results + first) * sum.result_channel;
    if (!by_blocks) return run_tile(sum, tile, from, own, added, rows, to);
    if (run_block_tile(parts, tile, from, own, added, rows, to)) return;
    Buffer<T> direct(group);
    pack(sum, c.kernel, of_group(g), direct.data());
    run_tile(sum, results_of(sum, tile), from, direct.data() + first * sum.channels * sum.taps(),
             added, rows, to);
  };
  const std::int64_t count = static_cast<std::int64_t>(tiles.size()) * c.groups,
                     channels = (results + kPanel - 1) / kPanel,
                     cuts = std::clamp(num_threads() / count, std::int64_t{1}, channels);
  parallel_for(
      count * cuts, 1, cost_of(c) / static_cast<double>(count * cuts),
      [&](std::int64_t begin, std::int64_t end) {
        for (; begin < end; ++begin) {
          const std::int64_t cut = begin % cuts, at = begin / cuts,
                             first = cut * channels / cuts * kPanel,
                             last = std::min((cut + 1) * channels / cuts * kPanel, results);
          run(tiles[static_cast<std::size_t>(at / c.groups)], at % c.groups, first, last - first);
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
  if (moderate(from.data(), copy.elements(sum.channels)))
    CorrelateTaps<T>::here(cotangents.data(), c.out_channels, columns, offsets.data(), taps,
                           from.data(), columns, w);
  else
    correlate_runs(runs, offsets, from.data(), cotangents.data(), columns, c.out_channels, w);
}

template <class T>
void correlate_tiles(const Convolution& c, const TapSum& sum, bool by_blocks,
                     std::span<const Tile> tiles, const T* x, const T* y, T* w) {
  if (!by_blocks) {
    for (const Tile& tile : tiles) correlate_tile(c, sum, tile, x, y, w);
    return;
  }
  BlockCorrelation<T> blocks(sum, c.out_channels);
  for (const Tile& tile : tiles)
    if (!blocks.add(tile, x, y)) correlate_tile(c, sum, results_of(sum, tile), x, y, w);
  blocks.finish(w);
}

}  // namespace

template <class T>
void convolve(const Convolution& c, const T* x, const T* w, const T* bias, T* y) {
  const std::int64_t taps = volume(c.kernel);
  run_sum(c, forward_sum(c), x, {w, c.out_channels, c.in_channels * taps, taps}, bias, y);
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
        run_sum(c, sum, y, {w, c.in_channels, taps, c.in_channels * taps}, bias, x);
      }
}

template <class T>
void convolve_weight(const Convolution& c, const T* x, const T* y, T* w) {
  constexpr std::int64_t most = 16, elements = 1 << 23;
  const TapSum sum = forward_sum(c);
  const bool by_blocks = goes_by_blocks<T>(sum, c.out_channels);
  const detail::PooledVector<Tile> tiles =
      by_blocks ? tiles_of(blocks_of(sum), c.images, 1 << 16) : tiles_of(sum, c.images, 1 << 18);
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
                   const std::int64_t s = begin / c.groups, g = begin % c.groups,
                                      first = s * count / shares, last = (s + 1) * count / shares;
                   correlate_tiles(c, sum, by_blocks,
                                   std::span(tiles).subspan(static_cast<std::size_t>(first),
                                                            static_cast<std::size_t>(last - first)),
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
