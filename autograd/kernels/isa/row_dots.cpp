#include "autograd/kernels/row_dots.hpp"
#include "autograd/kernels/isa/tiles.hpp"

// A matrix is read once, so that memory is the limit: some rows at a time keep enough of it under
// way.
namespace autograd::kernels::XGRAD_ISA {
namespace {

template <int R, class T>
void dots(const T* a, const T* x, std::int64_t n, T beta, T* y) {
  using V = Vec<T>;
  constexpr std::int64_t W = V::size;
  V even[R], odd[R];
  for (int r = 0; r < R; ++r) even[r] = odd[r] = V(0);
  std::int64_t k = 0;
  for (; k + 2 * W <= n; k += 2 * W) {
    const V x0 = V::load(x + k), x1 = V::load(x + k + W);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      even[r] = fma(x0, V::load(a + r * n + k), even[r]);
      odd[r] = fma(x1, V::load(a + r * n + k + W), odd[r]);
    }
  }
  for (; k < n; k += W) {
    const V x0 = get(x + k, n - k);
    for (int r = 0; r < R; ++r) even[r] = fma(x0, get(a + r * n + k, n - k), even[r]);
  }
  for (int r = 0; r < R; ++r) {
    const T sum = simd::sum_lanes(even[r] + odd[r]);
    y[r] = beta == T(0) ? sum : beta * y[r] + sum;
  }
}

template <class T>
void row_dots(const T* a, const T* x, std::int64_t rows, std::int64_t n, T beta, T* y) {
  std::int64_t i = 0;
  for (; i + kRows <= rows; i += kRows) dots<kRows>(a + i * n, x, n, beta, y + i);
  for (; kRows > 4 && i + 4 <= rows; i += 4) dots<4>(a + i * n, x, n, beta, y + i);
  for (; i < rows; ++i) dots<1>(a + i * n, x, n, beta, y + i);
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(RowDots, row_dots)
