#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/isa/registers.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

constexpr std::int64_t kTile = 256;  // columns reduced together

template <class T>
void add(T* y, const T* x, std::int64_t n) {
  using V = Vec<T>;
  std::int64_t i = 0;
  for (; i + V::size <= n; i += V::size) (V::load(y + i) + V::load(x + i)).store(y + i);
  for (; i < n; ++i) y[i] += x[i];
}

// What is left goes one by one: part of a register takes three times as long without masked loads.
template <class T>
T sum_block(const T* x, std::int64_t n) {
  const std::int64_t whole = n - n % Vec<T>::size;
  Running<T> sums;
  sums.add(0, whole, [x](auto lanes, std::int64_t i) { return lanes(x + i, T(0)); });
  T total = simd::sum_lanes(sums.total());
  for (std::int64_t i = whole; i < n; ++i) total += x[i];
  return total;
}

template <class T>
double sum_row(const T* x, std::int64_t n) {
  double total = 0;
  for (std::int64_t i = 0; i < n; i += kSumBlock)
    total += static_cast<double>(sum_block(x + i, n - i < kSumBlock ? n - i : kSumBlock));
  return total;
}

// Columns of (n, inner), a tile at a time.
template <class T>
void sum_columns(const T* in, T* out, std::int64_t n, std::int64_t inner, std::int64_t stride) {
  for (std::int64_t j = 0; j < inner; j += kTile) {
    const std::int64_t w = inner - j < kTile ? inner - j : kTile;
    double total[kTile] = {};
    T block[kTile];
    for (std::int64_t k = 0; k < n;) {
      const std::int64_t stop = n - k < kSumBlock ? n : k + kSumBlock;
      for (std::int64_t i = 0; i < w; ++i) block[i] = in[k * stride + j + i];
      for (++k; k < stop; ++k) add(block, in + k * stride + j, w);
      for (std::int64_t i = 0; i < w; ++i) total[i] += static_cast<double>(block[i]);
    }
    for (std::int64_t i = 0; i < w; ++i) out[j + i] = static_cast<T>(total[i]);
  }
}

template <class T>
void sum(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
         std::int64_t stride) {
  for (std::int64_t o = 0; o < outer; ++o) {
    if (stride == 1)
      out[o] = static_cast<T>(sum_row(in + o * n, n));
    else
      sum_columns(in + o * n * stride, out + o * inner, n, inner, stride);
  }
}

template <class T, bool Largest>
void extreme(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
             std::int64_t stride) {
  for (std::int64_t o = 0; o < outer; ++o, in += n * stride, out += inner) {
    if (stride == 1) {
      *out = extreme_row<T, Largest>(in, n);
      continue;
    }
    for (std::int64_t i = 0; i < inner; ++i) out[i] = in[i];
    for (std::int64_t k = 1; k < n; ++k)
      for (std::int64_t i = 0; i < inner; ++i)
        out[i] = pick<T, Largest>(in[k * stride + i], out[i]);
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(Add, add)
XGRAD_FLOATING_KERNEL(Sum, sum)
XGRAD_KERNEL(Max<float>, extreme<float, true>)
XGRAD_KERNEL(Max<double>, extreme<double, true>)
XGRAD_KERNEL(Min<float>, extreme<float, false>)
XGRAD_KERNEL(Min<double>, extreme<double, false>)
