#include "autograd/kernels/extreme_tangent.hpp"
#include "autograd/kernels/isa/registers.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

// f(i) for each x[i] that is y, which is one number or as many as x, or that is NaN. Those are rare:
// most registers have none.
template <class T, class Y, class F>
void for_hits(const T* x, std::int64_t n, Y y, F f) {
  using V = Vec<T>;
  const auto visit = [&](std::int64_t i) {
    if ((x[i] == y.one(i)) | (x[i] != x[i])) f(i);
  };
  std::int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    const V v = V::load(x + i);
    if (!xsimd::any(((v == y.some(i)) | (v != v)).m)) continue;
    for (std::int64_t k = i; k < i + V::size; ++k) visit(k);
  }
  for (; i < n; ++i) visit(i);
}

template <class T>
struct Number {
  T y;
  T one(std::int64_t) const { return y; }
  Vec<T> some(std::int64_t) const { return Vec<T>(y); }
};
template <class T>
struct Numbers {
  const T* y;
  T one(std::int64_t i) const { return y[i]; }
  Vec<T> some(std::int64_t i) const { return Vec<T>::load(y + i); }
};

template <class T>
T of_row(const T* x, T y, const T* t, std::int64_t n) {
  double sum = 0, count = 0;
  for_hits(x, n, Number<T>{y}, [&](std::int64_t k) {
    sum += static_cast<double>(t[k]);
    ++count;
  });
  return static_cast<T>(sum / count);
}

// At most kTile columns.
constexpr std::int64_t kTile = 256;
template <class T>
void of_columns(const T* x, const T* y, const T* t, T* out, std::int64_t n, std::int64_t columns,
                std::int64_t stride) {
  double sum[kTile] = {}, count[kTile] = {};
  for (std::int64_t k = 0; k < n; ++k)
    for_hits(x + k * stride, columns, Numbers<T>{y}, [&](std::int64_t i) {
      sum[i] += static_cast<double>(t[k * stride + i]);
      ++count[i];
    });
  for (std::int64_t i = 0; i < columns; ++i) out[i] = static_cast<T>(sum[i] / count[i]);
}

template <class T>
void extreme_tangent(const T* x, const T* y, const T* t, T* out, std::int64_t outer, std::int64_t n,
                     std::int64_t inner) {
  for (std::int64_t o = 0; o < outer; ++o) {
    const std::int64_t at = o * n * inner, to = o * inner;
    if (inner == 1) {
      out[o] = of_row(x + at, y[o], t + at, n);
      continue;
    }
    for (std::int64_t i = 0; i < inner; i += kTile)
      of_columns(x + at + i, y + to + i, t + at + i, out + to + i, n,
                 inner - i < kTile ? inner - i : kTile, inner);
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(ExtremeTangent, extreme_tangent)
