#include "autograd/kernels/resample.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

// One number for each element: there is nothing to keep in registers but the sum.
template <class T>
void resample_numbers(const T* x, const std::int64_t* begins, const std::int64_t* places,
                      const T* weights, std::int64_t first, std::int64_t last, T* y) {
  for (std::int64_t i = first; i < last; ++i) {
    T sum = 0;
    for (std::int64_t k = begins[i]; k < begins[i + 1]; ++k) sum += weights[k] * x[places[k]];
    y[i] = sum;
  }
}

// Two taps at a time: half of the passes over y.
template <class T>
void resample_row(const T* x, const std::int64_t* places, const T* weights, std::int64_t taps,
                  std::int64_t width, T* __restrict y) {
  std::int64_t k = 0;
  if (taps == 0) {
    for (std::int64_t j = 0; j < width; ++j) y[j] = 0;
  } else if (taps % 2) {
    const T *a = x + places[0] * width, v = weights[0];
    for (std::int64_t j = 0; j < width; ++j) y[j] = v * a[j];
    k = 1;
  } else {
    const T *a = x + places[0] * width, *b = x + places[1] * width, v = weights[0], w = weights[1];
    for (std::int64_t j = 0; j < width; ++j) y[j] = v * a[j] + w * b[j];
    k = 2;
  }
  for (; k < taps; k += 2) {
    const T *a = x + places[k] * width, *b = x + places[k + 1] * width, v = weights[k],
            w = weights[k + 1];
    for (std::int64_t j = 0; j < width; ++j) y[j] += v * a[j] + w * b[j];
  }
}

template <class T>
void copy(const T* __restrict x, const std::int64_t* places, std::int64_t first, std::int64_t last,
          std::int64_t width, T* __restrict y) {
  if (width == 1) {
    for (std::int64_t i = first; i < last; ++i) y[i] = x[places[i]];
    return;
  }
  for (std::int64_t i = first; i < last; ++i)
    for (std::int64_t j = 0; j < width; ++j) y[i * width + j] = x[places[i] * width + j];
}

template <class T>
void resample(const T* x, const std::int64_t* begins, const std::int64_t* places, const T* weights,
              std::int64_t first, std::int64_t last, std::int64_t width, T* y) {
  if (!weights) return copy(x, places, first, last, width, y);
  if (width == 1) return resample_numbers(x, begins, places, weights, first, last, y);
  for (std::int64_t i = first; i < last; ++i)
    resample_row(x, places + begins[i], weights + begins[i], begins[i + 1] - begins[i], width,
                 y + i * width);
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(Resample, resample)
