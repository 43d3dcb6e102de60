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
  const std::int64_t span = axis.end(i) - axis.begin(i), step = axis.step();
  return step == 1 ? span : (span + step - 1) / step;
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

// Rows of windows. Those from `begin` to `end` are whole along the row and read the same distances.
template <class T>
class PoolRows {
 public:
  explicit PoolRows(const std::array<PoolAxis, 3>& axes) : axes_(axes) {
    constexpr std::int64_t most = 1 << 24;
    if (axes[0].in * axes[1].in * axes[2].in > most) return;  // distances may be as large
    begin_ = axes[2].whole_begin();
    end_ = std::max(axes[2].whole_end(), begin_);
  }
  // `room` elements stand from the plane on.
  void run(const T* plane, std::int64_t room, std::int64_t z, std::int64_t v, T* y,
           std::int64_t* indices) {
    const PoolAxis& row = axes_[2];
    for (std::int64_t u = 0; u < begin_; ++u) largest_of(axes_, plane, {z, v, u}, y[u], indices[u]);
    for (std::int64_t u = end_; u < row.out; ++u)
      largest_of(axes_, plane, {z, v, u}, y[u], indices[u]);
    if (begin_ == end_) return;
    taps_.fit(axes_, z, v);
    const std::int64_t first = (axes_[0].begin(z) * axes_[1].in + axes_[1].begin(v)) * row.in +
                               begin_ * row.stride - row.before;
    LargestOfTaps<T>::here(plane + first, taps_.distances.data(),
                           static_cast<std::int64_t>(taps_.distances.size()), row.stride,
                           end_ - begin_, first, room - first, y + begin_, indices + begin_);
  }

 private:
  const std::array<PoolAxis, 3>& axes_;
  std::int64_t begin_ = 0, end_ = 0;
  WindowTaps taps_;
};

}  // namespace

template <class T>
void max_pool(const std::array<PoolAxis, 3>& axes, std::int64_t planes, const T* x, T* y,
              std::int64_t* indices) {
  const std::int64_t rows = axes[0].out * axes[1].out, in = axes[0].in * axes[1].in * axes[2].in;
  const double cost = 0.5 * static_cast<double>(in);
  parallel_for(planes, 1, cost, [&](std::int64_t begin, std::int64_t end) {
    PoolRows<T> row(axes);
    std::int64_t at = begin * rows * axes[2].out;
    for (; begin < end; ++begin)
      for (std::int64_t z = 0; z < axes[0].out; ++z)
        for (std::int64_t v = 0; v < axes[1].out; ++v, at += axes[2].out)
          row.run(x + begin * in, (planes - begin) * in, z, v, y + at, indices + at);
  });
}

template void max_pool(const std::array<PoolAxis, 3>&, std::int64_t, const float*, float*,
                       std::int64_t*);
template void max_pool(const std::array<PoolAxis, 3>&, std::int64_t, const double*, double*,
                       std::int64_t*);

}  // namespace autograd::kernels
