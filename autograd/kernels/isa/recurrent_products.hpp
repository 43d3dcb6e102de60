#pragma once

#include "autograd/kernels/isa/tiles.hpp"
#include "autograd/kernels/recurrent.hpp"

/// Products of rows with a packed matrix, for the file that defines the kernels of recurrent layers.
namespace autograd::kernels::XGRAD_ISA {
namespace {

template <class T>
constexpr std::int64_t kColumns = kWidth* Vec<T>::size;

template <class T>
void pack_matrix(const T* from, std::int64_t row_step, std::int64_t column_step, std::int64_t rows,
                 std::int64_t columns, T* to) {
  for (std::int64_t j = 0; j < columns; j += kColumns<T>) {
    const std::int64_t width = columns - j < kColumns<T> ? columns - j : kColumns<T>;
    for (std::int64_t i = 0; i < rows; ++i, to += kColumns<T>)
      for (std::int64_t k = 0; k < width; ++k) to[k] = from[i * row_step + (j + k) * column_step];
  }
}

template <class T>
void put(Vec<T> x, T* p, std::int64_t count) {
  count >= Vec<T>::size ? x.store(p) : simd::store_first(x, p, count);
}

// f(i, count) for each register of n elements.
template <class T, class F>
[[gnu::always_inline]] inline void each(std::int64_t n, F&& f) {
  constexpr std::int64_t W = Vec<T>::size;
  std::int64_t i = 0;
  for (; i + W <= n; i += W) f(i, W);
  if (i < n) f(i, n - i);
}

template <class T>
struct Rows {
  T* at;
  std::int64_t step;
};

// Rows, and the packed matrix of as many rows as these have elements that they are multiplied with.
template <class T>
struct Factors {
  Rows<const T> a;
  const T* packed;
  std::int64_t depth;  // 0: adds nothing
};

// sum += M rows · their panel; `beside` is called for each column.
template <class T, int M, class F>
[[gnu::always_inline]] inline void add_panel(Vec<T> (&sum)[M][kWidth], const Factors<T>& f,
                                             std::int64_t row, std::int64_t column, F& beside) {
  const T *a = f.a.at + row * f.a.step, *panel = f.packed + column * f.depth;
  for (std::int64_t l = 0; l < f.depth; ++l, panel += kColumns<T>) {
    const Vec<T> b0 = Vec<T>::load(panel), b1 = Vec<T>::load(panel + Vec<T>::size);
    beside();
#pragma GCC unroll 8
    for (int r = 0; r < M; ++r) {
      const Vec<T> x(a[r * f.a.step + l]);
      sum[r][0] = fma(x, b0, sum[r][0]);
      sum[r][1] = fma(x, b1, sum[r][1]);
    }
  }
}

// M rows of a panel of c = both products, added to what is there if `add`.
template <class T, int M, class F>
[[gnu::always_inline]] inline void block(const Factors<T>& first, const Factors<T>& second,
                                         Rows<T> c, std::int64_t row, std::int64_t column,
                                         std::int64_t columns, bool add, F& beside) {
  using V = Vec<T>;
  V sum[M][kWidth];
  for (int r = 0; r < M; ++r)
    for (int w = 0; w < kWidth; ++w) sum[r][w] = V(0);
  add_panel<T, M>(sum, first, row, column, beside);
  add_panel<T, M>(sum, second, row, column, beside);
  for (int r = 0; r < M; ++r)
    for (int w = 0; w < kWidth && column + w * V::size < columns; ++w) {
      T* to = c.at + (row + r) * c.step + column + w * V::size;
      const std::int64_t count = columns - column - w * V::size;
      put(add ? get(to, count) + sum[r][w] : sum[r][w], to, count);
    }
}

// c (rows, columns) = the sum of both products, or added to it.
template <class T, class F>
void product(const Factors<T>& first, const Factors<T>& second, std::int64_t rows, Rows<T> c,
             std::int64_t columns, bool add, F beside) {
  for (std::int64_t j = 0; j < columns; j += kColumns<T>) {
    std::int64_t r = 0;
    const auto run = [&]<int M>() {
      block<T, M>(first, second, c, r, j, columns, add, beside);
      r += M;
    };
    while (r + kRows <= rows) run.template operator()<kRows>();
    if ((rows - r) & 4) run.template operator()<4>();
    if ((rows - r) & 2) run.template operator()<2>();
    if ((rows - r) & 1) run.template operator()<1>();
  }
}
template <class T>
void product(const Factors<T>& first, const Factors<T>& second, std::int64_t rows, Rows<T> c,
             std::int64_t columns, bool add) {
  product(first, second, rows, c, columns, add, [] {});
}
template <class T>
void product(const Factors<T>& factors, std::int64_t rows, Rows<T> c, std::int64_t columns,
             bool add) {
  product<T>(factors, {{}, nullptr, 0}, rows, c, columns, add);
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA
