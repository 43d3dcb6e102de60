#include "autograd/kernels/taps.hpp"

#include "autograd/formulas/simd.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// Blocks of sums that fill the registers: 32 of them with AVX-512, otherwise 16.
#if defined(__AVX512F__)
constexpr int kRows = 8, kVectors = 3, kTaps = 6;
#else
constexpr int kRows = 4, kVectors = 3, kTaps = 2;
#endif
constexpr int kGradientRows = 4;

// An element is one chain of additions over the taps, whatever block it is in.
template <class T, int R, int N>
void sum_taps(const T* weights, std::int64_t pitch, const std::int64_t* offset, std::int64_t taps,
              const T* source, T* out) {
  using V = Vec<T>;
  V sum[R][N];
  for (auto& row : sum)
    for (V& v : row) v = V(0);
  for (std::int64_t k = 0; k < taps; ++k, weights += pitch) {
    const T* at = source + offset[k];
    V x[N];
    for (int j = 0; j < N; ++j) x[j] = V::load(at + j * V::size);
    for (int i = 0; i < R; ++i) {
      const V w(weights[i]);
      for (int j = 0; j < N; ++j) sum[i][j] = fma(w, x[j], sum[i][j]);
    }
  }
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < N; ++j) sum[i][j].store(out + i * kTapColumns + j * V::size);
}

template <class T, int R>
void sum_rows(const T* weights, std::int64_t pitch, const std::int64_t* offset, std::int64_t taps,
              const T* source, std::int64_t columns, T* out) {
  constexpr std::int64_t W = Vec<T>::size;
  for (; columns > 2 * W; columns -= 3 * W, source += 3 * W, out += 3 * W)
    sum_taps<T, R, kVectors>(weights, pitch, offset, taps, source, out);
  if (columns > W)
    sum_taps<T, R, 2>(weights, pitch, offset, taps, source, out);
  else if (columns > 0)
    sum_taps<T, R, 1>(weights, pitch, offset, taps, source, out);
}

template <class T>
void sum_all_taps(const T* weights, std::int64_t rows, const std::int64_t* offset,
                  std::int64_t taps, const T* source, std::int64_t columns, T* out) {
  const std::int64_t pitch = rows, step = taps > 0 ? 1 : 0;  // without taps there are no weights
  for (; rows >= kRows; rows -= kRows, weights += kRows * step, out += kRows * kTapColumns)
    sum_rows<T, kRows>(weights, pitch, offset, taps, source, columns, out);
  if (kRows > 4 && rows >= 4) {
    sum_rows<T, 4>(weights, pitch, offset, taps, source, columns, out);
    rows -= 4, weights += 4 * step, out += 4 * kTapColumns;
  }
  if (rows >= 2) {
    sum_rows<T, 2>(weights, pitch, offset, taps, source, columns, out);
    rows -= 2, weights += 2 * step, out += 2 * kTapColumns;
  }
  if (rows >= 1) sum_rows<T, 1>(weights, pitch, offset, taps, source, columns, out);
}

// By the name that this version of xsimd has for it.
template <class B>
auto sum_of(const B& x) {
  if constexpr (requires { reduce_add(x); })
    return reduce_add(x);
  else
    return hadd(x);
}

template <class T, int R, int C>
void correlate_taps(const T* g, std::int64_t pitch, const std::int64_t* offset, const T* source,
                    std::int64_t columns, T* out, std::int64_t taps) {
  using V = Vec<T>;
  V sum[R][C];
  for (auto& row : sum)
    for (V& v : row) v = V(0);
  const T* at[C];
  for (int c = 0; c < C; ++c) at[c] = source + offset[c];
  for (std::int64_t j = 0; j < columns; j += V::size) {
    V y[R];
    for (int i = 0; i < R; ++i) y[i] = V::load(g + i * pitch + j);
    for (int c = 0; c < C; ++c) {
      const V x = V::load(at[c] + j);
      for (int i = 0; i < R; ++i) sum[i][c] = fma(y[i], x, sum[i][c]);
    }
  }
  for (int i = 0; i < R; ++i)
    for (int c = 0; c < C; ++c) out[i * taps + c] += sum_of(sum[i][c].b);
}

template <class T, int R>
void correlate_rows(const T* g, std::int64_t pitch, const std::int64_t* offset, std::int64_t taps,
                    const T* source, std::int64_t columns, T* out) {
  std::int64_t k = 0;
  for (; k + kTaps <= taps; k += kTaps)
    correlate_taps<T, R, kTaps>(g, pitch, offset + k, source, columns, out + k, taps);
  if (kTaps > 3 && k + 3 <= taps) {
    correlate_taps<T, R, 3>(g, pitch, offset + k, source, columns, out + k, taps);
    k += 3;
  }
  for (; k < taps; ++k)
    correlate_taps<T, R, 1>(g, pitch, offset + k, source, columns, out + k, taps);
}

template <class T>
void correlate(const T* g, std::int64_t rows, std::int64_t pitch, const std::int64_t* offset,
               std::int64_t taps, const T* source, std::int64_t columns, T* out) {
  for (; rows >= kGradientRows; rows -= kGradientRows) {
    correlate_rows<T, kGradientRows>(g, pitch, offset, taps, source, columns, out);
    g += kGradientRows * pitch, out += kGradientRows * taps;
  }
  for (; rows > 0; --rows, g += pitch, out += taps)
    correlate_rows<T, 1>(g, pitch, offset, taps, source, columns, out);
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(SumTaps, sum_all_taps)
XGRAD_FLOATING_KERNEL(CorrelateTaps, correlate)
