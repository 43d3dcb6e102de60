#include "autograd/formulas/simd.hpp"
#include "autograd/kernels/taps.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// Every step-th element of x, `count` of them; the other lanes hold the first one.
template <class T>
Vec<T> load_every(const T* x, std::int64_t step, std::int64_t count) {
  using V = Vec<T>;
  if (step == 1 && count == V::size) return V::load(x);
  T lanes[V::size];
  if (count == V::size) {
    for (std::int64_t w = 0; w < V::size; ++w) lanes[w] = x[w * step];
  } else {
    V(x[0]).store(lanes);
    for (std::int64_t w = 0; w < count; ++w) lanes[w] = x[w * step];
  }
  return V::load(lanes);
}

template <class T>
void largest(const T* x, const std::int64_t* tap, std::int64_t taps, std::int64_t stride,
             std::int64_t n, std::int64_t first, T* y, std::int64_t* indices) {
  using V = Vec<T>;
  for (; n > 0; n -= V::size, x += V::size * stride, first += V::size * stride) {
    const std::int64_t count = n < V::size ? n : V::size;
    V best = load_every(x + tap[0], stride, count), which(0);
    for (std::int64_t k = 1; k < taps; ++k) {
      const V v = load_every(x + tap[k], stride, count);
      const auto larger = v > best || v != v;
      best = where(larger, v, best);
      which = where(larger, V(k), which);
    }
    T values[V::size], found[V::size];
    best.store(values);
    which.store(found);
    for (std::int64_t w = 0; w < count; ++w) {
      *y++ = values[w];
      *indices++ = first + w * stride + tap[static_cast<std::int64_t>(found[w])];
    }
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(LargestOfTaps, largest)
