#include <utility>

#include "autograd/formulas/simd.hpp"
#include "autograd/kernels/taps.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

template <class T>
using Lanes = std::make_index_sequence<static_cast<std::size_t>(Vec<T>::size)>;

// The lanes of even or odd number of x, then of y.
template <class T, int Odd, std::size_t... I>
Vec<T> every_second(Vec<T> x, Vec<T> y, std::index_sequence<I...>) {
  using R = typename Vec<T>::Batch::register_type;
  return typename Vec<T>::Batch(R(__builtin_shufflevector(R(x.b), R(y.b), (2 * I + Odd)...)));
}

// Lanes of x and y in turn, from lane `First` on.
template <class T, std::size_t First, std::size_t... I>
Vec<T> in_turn(Vec<T> x, Vec<T> y, std::index_sequence<I...>) {
  using R = typename Vec<T>::Batch::register_type;
  return typename Vec<T>::Batch(
      R(__builtin_shufflevector(R(x.b), R(y.b), (First + I / 2 + I % 2 * sizeof...(I))...)));
}

// The transform of a patch along one axis.
template <class V>
void transform_axis(V& d0, V& d1, V& d2, V& d3) {
  const V a = d0 - d2, b = d1 + d2, c = d2 - d1, d = d1 - d3;
  d0 = a, d1 = b, d2 = c, d3 = d;
}

template <class T>
void transform_patches(const T* x, const std::int64_t* line, std::int64_t step, T* out) {
  using V = Vec<T>;
  for (std::int64_t j = 0; j < kTapColumns; j += V::size) {
    V d[4][4];
    for (int i = 0; i < 4; ++i)
      for (int k = 0; k < 4; k += 2) {
        const T* at = x + line[i] + 2 * j + k;
        const V low = V::load(at), high = V::load(at + V::size);
        d[i][k] = every_second<T, 0>(low, high, Lanes<T>());
        d[i][k + 1] = every_second<T, 1>(low, high, Lanes<T>());
      }
    for (int k = 0; k < 4; ++k) transform_axis(d[0][k], d[1][k], d[2][k], d[3][k]);
    for (int i = 0; i < 4; ++i) {
      transform_axis(d[i][0], d[i][1], d[i][2], d[i][3]);
      for (int k = 0; k < 4; ++k) d[i][k].store(out + (4 * i + k) * step + j);
    }
  }
}

template <class T>
void transform_sums(const T* m, std::int64_t step, std::int64_t rows, const T* bias, T* out) {
  using V = Vec<T>;
  for (std::int64_t r = 0; r < rows; ++r, m += kTapColumns, out += 4 * kTapColumns) {
    const V b(bias ? bias[r] : T(0));
    for (std::int64_t j = 0; j < kTapColumns; j += V::size) {
      V s[2][4];
      for (int k = 0; k < 4; ++k) {
        const auto at = [&](int i) { return V::load(m + (4 * i + k) * step + j); };
        const V p = at(1), q = at(2);
        s[0][k] = at(0) + p + q;
        s[1][k] = p - q - at(3);
      }
      for (int i = 0; i < 2; ++i) {
        const V even = s[i][0] + s[i][1] + s[i][2] + b, odd = s[i][1] - s[i][2] - s[i][3] + b;
        T* to = out + 2 * (i * kTapColumns + j);
        in_turn<T, 0>(even, odd, Lanes<T>()).store(to);
        in_turn<T, V::size / 2>(even, odd, Lanes<T>()).store(to + V::size);
      }
    }
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(TransformPatches, transform_patches)
XGRAD_FLOATING_KERNEL(TransformSums, transform_sums)
