#include "autograd/kernels/reduce.hpp"
#include "autograd/kernels/isa/registers.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

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

// A panel of `registers` full of columns, which hold the sum of a block of rows.
template <class T, int registers>
void sum_panel(const T* in, T* out, std::int64_t n, std::int64_t stride) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  double total[registers * W] = {};
  T block[registers * W];
  for (std::int64_t k = 0; k < n;) {
    const std::int64_t stop = n - k < kSumBlock ? n : k + kSumBlock;
    V sums[registers];
    for (int r = 0; r < registers; ++r) sums[r] = V::load(in + k * stride + r * W);
    for (++k; k < stop; ++k)
      for (int r = 0; r < registers; ++r) sums[r] += V::load(in + k * stride + r * W);
    for (int r = 0; r < registers; ++r) sums[r].store(block + r * W);
    for (std::int64_t i = 0; i < registers * W; ++i) total[i] += static_cast<double>(block[i]);
  }
  for (std::int64_t i = 0; i < registers * W; ++i) out[i] = static_cast<T>(total[i]);
}

// Columns of (n, inner).
template <class T>
void sum_columns(const T* in, T* out, std::int64_t n, std::int64_t inner, std::int64_t stride) {
  constexpr std::int64_t W = Vec<T>::size;
  std::int64_t j = 0;
  for (; j + 8 * W <= inner; j += 8 * W) sum_panel<T, 8>(in + j, out + j, n, stride);
  for (; j + W <= inner; j += W) sum_panel<T, 1>(in + j, out + j, n, stride);
  if (j == inner) return;
  double total[W] = {};
  for (std::int64_t k = 0; k < n;) {
    const std::int64_t stop = n - k < kSumBlock ? n : k + kSumBlock;
    T block[W];
    for (std::int64_t i = j; i < inner; ++i) block[i - j] = in[k * stride + i];
    for (++k; k < stop; ++k)
      for (std::int64_t i = j; i < inner; ++i) block[i - j] += in[k * stride + i];
    for (std::int64_t i = j; i < inner; ++i) total[i - j] += static_cast<double>(block[i - j]);
  }
  for (std::int64_t i = j; i < inner; ++i) out[i] = static_cast<T>(total[i - j]);
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
