#include "autograd/formulas/simd.hpp"
#include "autograd/kernels/isa/lanes.hpp"
#include "autograd/kernels/taps.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

// Every step-th element of x, of which `count` are wanted and `room` may be read.
template <class T>
Vec<T> load_every(const T* x, std::int64_t step, std::int64_t count, std::int64_t room) {
  using V = Vec<T>;
  if (step == 1 && room >= V::size) return V::load(x);
  if (step == 2 && room >= 2 * V::size)
    return every_second<T, 0>(V::load(x), V::load(x + V::size), Lanes<T>());
  T lanes[V::size] = {};
  for (std::int64_t w = 0; w < V::size && w < count; ++w) lanes[w] = x[w * step];
  return V::load(lanes);
}

template <class T>
void largest(const T* x, const std::int64_t* tap, std::int64_t taps, std::int64_t stride,
             std::int64_t n, std::int64_t first, std::int64_t room, T* y, std::int64_t* indices) {
  using V = Vec<T>;
  for (; n > 0; n -= V::size, x += V::size * stride, first += V::size * stride) {
    V best = load_every(x + tap[0], stride, n, room - tap[0]), which(tap[0]);
    for (std::int64_t k = 1; k < taps; ++k) {
      const V v = load_every(x + tap[k], stride, n, room - tap[k]);
      const auto larger = v > best || v != v;
      best = where(larger, v, best);
      which = where(larger, V(tap[k]), which);
    }
    const std::int64_t count = n < V::size ? n : V::size;
    if (count == V::size)
      best.store(y);
    else
      simd::store_first(best, y, count);
    T found[V::size];
    which.store(found);
    for (std::int64_t w = 0; w < count; ++w)
      indices[w] = first + w * stride + static_cast<std::int64_t>(found[w]);
    y += count, indices += count, room -= V::size * stride;
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(LargestOfTaps, largest)
