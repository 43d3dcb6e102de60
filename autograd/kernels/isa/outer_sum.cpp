#include "autograd/kernels/outer_sum.hpp"
#include "autograd/kernels/isa/tiles.hpp"

// Sums of outer products. A block of rows of both factors stays in cache while it is added to all of
// c, with the columns of b that are multiplied side by side: rows as far apart as those of b push
// one another out of the nearest cache.
namespace autograd::kernels::XGRAD_ISA {
namespace {

// Rows of the factors in a block.
constexpr std::int64_t kBlock = 128;
#if defined(__AVX512F__)
// Rows of a that are asked for before their turn, since the processor does not guess so far.
// Narrower registers lose more by asking than by waiting.
constexpr std::int64_t kAhead = 24;
#else
constexpr std::int64_t kAhead = 0;
#endif

// Rows of both factors, and where the columns begin of which the product is added to c.
template <class T>
struct Part {
  const T *a, *b;
  std::int64_t rows, left, m, pitch, n;  // left: rows of a to its end; pitch: of b
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
  const T *a = part.a + row, *b = part.b;
  for (std::int64_t l = 0; l < part.rows; ++l, a += part.m, b += part.pitch) {
    if (W == kWidth && kAhead > 0 && l + kAhead < part.left)
      __builtin_prefetch(a + kAhead * part.m);
    V y[W];
    for (int w = 0; w < W; ++w) y[w] = load(b + w * V::size);
#pragma GCC unroll 8
    for (int r = 0; r < M; ++r) {
      const V x(a[r]);
      for (int w = 0; w < W; ++w) sum[r][w] = fma(x, y[w], sum[r][w]);
    }
  }
  for (int r = 0; r < M; ++r)
    for (int w = 0; w < W; ++w) store(sum[r][w], at(r, w));
}
template <int W, class T, class Load, class Store>
void tiles(const Part<T>& part, std::int64_t begin, std::int64_t end, Load load, Store store) {
  for (; begin + kRows <= end; begin += kRows) tile<kRows, W>(part, begin, load, store);
  for (; begin < end; ++begin) tile<1, W>(part, begin, load, store);
}

// The columns of b that are multiplied together side by side.
template <class T>
Part<T> packed(Part<T> part, T (&panel)[kBlock * kWidth * Vec<T>::size]) {
  constexpr std::int64_t size = Vec<T>::size, pitch = kWidth * size;
  for (std::int64_t l = 0; l < part.rows; ++l)
    for (std::int64_t w = 0; w < pitch; w += size)
      Vec<T>::load(part.b + l * part.pitch + w).store(panel + l * pitch + w);
  part.b = panel, part.pitch = pitch;
  return part;
}

template <class T>
void outer_sum(const T* a, const T* b, std::int64_t rows, std::int64_t m, std::int64_t n, T* c,
               std::int64_t begin, std::int64_t end) {
  using V = Vec<T>;
  const auto load = [](const T* p) { return V::load(p); };
  const auto store = [](V x, T* p) { x.store(p); };
  alignas(64) T panel[kBlock * kWidth * V::size];
  // Also for no rows: c is written.
  for (std::int64_t k = 0; k == 0 || k < rows; k += kBlock) {
    const std::int64_t count = rows - k < kBlock ? rows - k : kBlock;
    const auto part = [&](std::int64_t j) {
      return Part<T>{a + k * m, b + k * n + j, count, rows - k, m, n, n, c + j, k == 0};
    };
    std::int64_t j = 0;
    for (; j + kWidth * V::size <= n; j += kWidth * V::size)
      tiles<kWidth>(packed(part(j), panel), begin, end, load, store);
    for (; j + V::size <= n; j += V::size) tiles<1>(part(j), begin, end, load, store);
    const std::int64_t rest = n - j;
    if (rest > 0)
      tiles<1>(
          part(j), begin, end, [=](const T* p) { return simd::load_first(p, rest); },
          [=](V x, T* p) { simd::store_first(x, p, rest); });
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(OuterSum, outer_sum)
