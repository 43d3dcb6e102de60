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

// A row of windows. Those that are whole along the row read the same distances. `room` elements
// stand from the plane on.
template <class T>
void pool_row(const std::array<PoolAxis, 3>& axes, const T* plane, std::int64_t room,
              std::int64_t z, std::int64_t v, detail::PooledVector<std::int64_t>& taps, T* y,
              std::int64_t* indices) {
  constexpr std::int64_t most = 1 << 24;
  const PoolAxis& row = axes[2];
  const bool many = axes[0].in * axes[1].in * row.in > most;  // taps may be as large
  const std::int64_t begin = row.whole_begin(),
                     end = many ? begin : std::max(row.whole_end(), begin);
  for (std::int64_t u = 0; u < row.out; ++u)
    if (u < begin || u >= end) largest_of(axes, plane, {z, v, u}, y[u], indices[u]);
  if (begin == end) return;
  taps.clear();
  for (std::int64_t a = axes[0].begin(z); a < axes[0].end(z); a += axes[0].step())
    for (std::int64_t b = axes[1].begin(v); b < axes[1].end(v); b += axes[1].step())
      for (std::int64_t k = 0; k < row.kernel; ++k)
        taps.push_back((a * axes[1].in + b) * row.in + k * row.dilation);
  const std::int64_t first = begin * row.stride - row.before;
  LargestOfTaps<T>::here(plane + first, taps.data(), static_cast<std::int64_t>(taps.size()),
                         row.stride, end - begin, first, room - first, y + begin, indices + begin);
}

}  // namespace

template <class T>
void max_pool(const std::array<PoolAxis, 3>& axes, std::int64_t planes, const T* x, T* y,
              std::int64_t* indices) {
  const std::int64_t rows = axes[0].out * axes[1].out, in = axes[0].in * axes[1].in * axes[2].in;
  const double cost = 0.5 * static_cast<double>(in);
  parallel_for(planes, 1, cost, [&](std::int64_t begin, std::int64_t end) {
    detail::PooledVector<std::int64_t> taps;
    for (std::int64_t r = begin * rows; r < end * rows; ++r)
      pool_row(axes, x + r / rows * in, (planes - r / rows) * in, r % rows / axes[1].out,
               r % axes[1].out, taps, y + r * axes[2].out, indices + r * axes[2].out);
  });
}

template void max_pool(const std::array<PoolAxis, 3>&, std::int64_t, const float*, float*,
                       std::int64_t*);
template void max_pool(const std::array<PoolAxis, 3>&, std::int64_t, const double*, double*,
                       std::int64_t*);

}  // namespace autograd::kernels
