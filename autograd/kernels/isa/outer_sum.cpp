#include "autograd/kernels/outer_sum.hpp"
#include "autograd/formulas/formulas.hpp"

// Sums of outer products. A block of rows of both factors stays in cache while it is added to all of
// c, with the columns of b that are multiplied side by side: rows as far apart as those of b push
// one another out of the nearest cache.
namespace autograd::kernels::XGRAD_ISA {
namespace {

using simd::Vec;

// Rows of the factors in a block, and what of c is computed in registers: rows, and registers of
// columns.
constexpr std::int64_t kBlock = 128;
constexpr int kWidth = 2;
#if defined(__AVX512F__)
constexpr int kRows = 8;
// Rows of a that are asked for before their turn, since the processor does not guess so far.
// Narrower registers lose more by asking than by waiting.
constexpr std::uintptr_t kAhead = 24;
#else
constexpr int kRows = 4;
constexpr std::uintptr_t kAhead = 0;
#endif

// Rows of both factors: of a all columns, of b those of a panel, which begin in c at `c`.
template <class T>
struct Part {
  const T *a, *panel;
  std::int64_t rows, m, n;
  T* c;
  bool first;  // c has nothing yet
};

// M rows of W registers of c, by functions for a register.
template <int M, int W, class T, class Load, class Store>
void tile(const Part<T> part, std::int64_t row, Load load, Store store) {
  using V = Vec<T>;
  const auto at = [&](int r, int w) { return part.c + (row + r) * part.n + w * V::size; };
  V sum[M][W];
  for (int r = 0; r < M; ++r)
    for (int w = 0; w < W; ++w) sum[r][w] = part.first ? V(0) : load(at(r, w));
  const T *a = part.a + row, *b = part.panel;
  const std::uintptr_t pitch = static_cast<std::uintptr_t>(part.m) * sizeof(T);
  std::uintptr_t ahead = reinterpret_cast<std::uintptr_t>(a) + kAhead * pitch;
  for (std::int64_t l = 0; l < part.rows; ++l, a += part.m, b += W * V::size, ahead += pitch) {
    if (kAhead > 0) __builtin_prefetch(reinterpret_cast<const void*>(ahead));
    V y[W];
    for (int w = 0; w < W; ++w) y[w] = V::load(b + w * V::size);
#pragma GCC unroll 8
    for (int r = 0; r < M; ++r) {
      const V x(a[r]);
      for (int w = 0; w < W; ++w) sum[r][w] = fma(x, y[w], sum[r][w]);
    }
  }
  for (int r = 0; r < M; ++r)
    for (int w = 0; w < W; ++w) store(sum[r][w], at(r, w));
}
// All tiles of W registers of columns of b, which begin at `b`.
template <int W, class T, class Load, class Store>
void tiles(Part<T> part, const T* b, std::int64_t begin, std::int64_t end, Load load, Store store) {
  constexpr std::int64_t size = Vec<T>::size;
  alignas(64) T panel[kBlock * W * size];
  for (std::int64_t l = 0; l < part.rows; ++l)
    for (int w = 0; w < W; ++w) load(b + l * part.n + w * size).store(panel + (l * W + w) * size);
  part.panel = panel;
  for (; begin + kRows <= end; begin += kRows) tile<kRows, W>(part, begin, load, store);
  for (; begin < end; ++begin) tile<1, W>(part, begin, load, store);
}

template <class T>
void outer_sum(const T* a, const T* b, std::int64_t rows, std::int64_t m, std::int64_t n, T* c,
               std::int64_t begin, std::int64_t end) {
  using V = Vec<T>;
  const auto load = [](const T* p) { return V::load(p); };
  const auto store = [](V x, T* p) { x.store(p); };
  // Also for no rows: c is written.
  for (std::int64_t k = 0; k == 0 || k < rows; k += kBlock) {
    const std::int64_t count = rows - k < kBlock ? rows - k : kBlock;
    const auto part = [&](std::int64_t j) {
      return Part<T>{a + k * m, nullptr, count, m, n, c + j, k == 0};
    };
    const T* from = b + k * n;
    std::int64_t j = 0;
    for (; j + kWidth * V::size <= n; j += kWidth * V::size)
      tiles<kWidth>(part(j), from + j, begin, end, load, store);
    for (; j + V::size <= n; j += V::size) tiles<1>(part(j), from + j, begin, end, load, store);
    const std::int64_t rest = n - j;
    if (rest > 0)
      tiles<1>(
          part(j), from + j, begin, end, [=](const T* p) { return simd::load_first(p, rest); },
          [=](V x, T* p) { simd::store_first(x, p, rest); });
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(OuterSum, outer_sum)
