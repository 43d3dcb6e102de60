#include "autograd/kernels/pooling.hpp"

#include <algorithm>

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/core/memory.hpp"
#include "autograd/kernels/taps.hpp"

namespace autograd::kernels {

std::int64_t PoolAxis::whole_begin() const {
  return kernel == 0 ? 0 : std::min((before + stride - 1) / stride, out);
}

std::int64_t PoolAxis::whole_end() const {
  if (kernel == 0) return 0;  // windows of several sizes
  const std::int64_t room = in + before - (kernel - 1) * dilation - 1;
  return room < 0 ? 0 : std::min(room / stride + 1, out);
}

namespace {

// The largest of one window.
template <class T>
void largest_of(const std::array<PoolAxis, 3>& axes, const T* plane, const std::int64_t (&at)[3],
                T& y, std::int64_t& index) {
  bool first = true;
  for (std::int64_t z = axes[0].begin(at[0]); z < axes[0].end(at[0]); z += axes[0].step())
    for (std::int64_t v = axes[1].begin(at[1]); v < axes[1].end(at[1]); v += axes[1].step())
      for (std::int64_t u = axes[2].begin(at[2]); u < axes[2].end(at[2]); u += axes[2].step()) {
        const std::int64_t i = (z * axes[1].in + v) * axes[2].in + u;
        if (!first && !(plane[i] > y || plane[i] != plane[i])) continue;
        y = plane[i];
        index = i;
        first = false;
      }
}

// The elements of an axis that a window has.
std::int64_t taps_of(const PoolAxis& axis, std::int64_t i) {
  return (axis.end(i) - axis.begin(i) + axis.step() - 1) / axis.step();
}

// Distances from the first element of a window that is whole along the row to all of them. Most
// rows of windows have the same.
struct WindowTaps {
  std::int64_t planes = 0, lines = 0;  // elements along the first two axes
  detail::PooledVector<std::int64_t> distances{};

  void fit(const std::array<PoolAxis, 3>& axes, std::int64_t z, std::int64_t v) {
    const std::int64_t n = taps_of(axes[0], z), m = taps_of(axes[1], v);
    if (n == planes && m == lines) return;
    planes = n, lines = m;
    distances.clear();
    for (std::int64_t a = 0; a < planes; ++a)
      for (std::int64_t b = 0; b < lines; ++b)
        for (std::int64_t k = 0; k < axes[2].kernel; ++k)
          distances.push_back((a * axes[0].step() * axes[1].in + b * axes[1].step()) * axes[2].in +
                              k * axes[2].dilation);
  }
};

// A row of windows. Those that are whole along the row read the same distances. `room` elements
// stand from the plane on.
template <class T>
void pool_row(const std::array<PoolAxis, 3>& axes, const T* plane, std::int64_t room,
              std::int64_t z, std::int64_t v, WindowTaps& taps, T* y, std::int64_t* indices) {
  constexpr std::int64_t most = 1 << 24;
  const PoolAxis& row = axes[2];
  const bool many = axes[0].in * axes[1].in * row.in > most;  // taps may be as large
  const std::int64_t begin = row.whole_begin(),
                     end = many ? begin : std::max(row.whole_end(), begin);
  for (std::int64_t u = 0; u < begin; ++u) largest_of(axes, plane, {z, v, u}, y[u], indices[u]);
  for (std::int64_t u = end; u < row.out; ++u) largest_of(axes, plane, {z, v, u}, y[u], indices[u]);
  if (begin == end) return;
  taps.fit(axes, z, v);
  const std::int64_t first =
      (axes[0].begin(z) * axes[1].in + axes[1].begin(v)) * row.in + begin * row.stride - row.before;
  LargestOfTaps<T>::here(plane + first, taps.distances.data(),
                         static_cast<std::int64_t>(taps.distances.size()), row.stride, end - begin,
                         first, room - first, y + begin, indices + begin);
}

}  // namespace

template <class T>
void max_pool(const std::array<PoolAxis, 3>& axes, std::int64_t planes, const T* x, T* y,
              std::int64_t* indices) {
  const std::int64_t rows = axes[0].out * axes[1].out, in = axes[0].in * axes[1].in * axes[2].in;
  const double cost = 0.5 * static_cast<double>(in);
  parallel_for(planes, 1, cost, [&](std::int64_t begin, std::int64_t end) {
    WindowTaps taps;
    std::int64_t at = begin * rows * axes[2].out;
    for (; begin < end; ++begin)
      for (std::int64_t z = 0; z < axes[0].out; ++z)
        for (std::int64_t v = 0; v < axes[1].out; ++v, at += axes[2].out)
          pool_row(axes, x + begin * in, (planes - begin) * in, z, v, taps, y + at, indices + at);
  });
}

template void max_pool(const std::array<PoolAxis, 3>&, std::int64_t, const float*, float*,
                       std::int64_t*);
template void max_pool(const std::array<PoolAxis, 3>&, std::int64_t, const double*, double*,
                       std::int64_t*);

}  // namespace autograd::kernels
