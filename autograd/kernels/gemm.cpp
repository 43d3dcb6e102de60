#include "autograd/kernels/gemm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/core/cpu.hpp"
#include "autograd/core/errors.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/elementwise.hpp"
#include "autograd/kernels/one_thread.hpp"
#include "autograd/kernels/onednn.hpp"
#include "autograd/kernels/row_dots.hpp"

// Declared here rather than through <cblas.h>, which some BLAS packages put elsewhere.
extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
void cblas_dgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, double alpha,
                 const double* a, int lda, const double* b, int ldb, double beta, double* c,
                 int ldc);
void cblas_sgemv(int order, int transpose, int m, int n, float alpha, const float* a, int lda,
                 const float* x, int x_step, float beta, float* y, int y_step);
void cblas_dgemv(int order, int transpose, int m, int n, double alpha, const double* a, int lda,
                 const double* x, int x_step, double beta, double* y, int y_step);
}

namespace autograd::kernels {
namespace {

template <class T>
struct Blas {
  static constexpr SingleThreaded<cblas_sgemm> gemm{};
  static constexpr SingleThreaded<cblas_sgemv> gemv{};
};
template <>
struct Blas<double> {
  static constexpr SingleThreaded<cblas_dgemm> gemm{};
  static constexpr SingleThreaded<cblas_dgemv> gemv{};
};
constexpr int kRowMajor = 101, kColumnMajor = 102, kNoTranspose = 111, kTranspose = 112;

// Products are cut so that the number of threads changes no bit. An element's rounding depends on
// its place in the BLAS's tiles of C, and on the code that the sizes select. Rows may be cut at
// multiples of 12 into pieces of a million multiplications and more, below 6144 rows (somewhere
// above that OpenBLAS starts its tiles anew); a test compares them over many shapes. Columns have
// no such places, so they are cut by the sizes alone, for any number of threads, and only where
// there are too few rows and packing A again costs nothing.
constexpr std::int64_t kRows = 12, kSlab = 3072, kColumns = 256;
constexpr double kLeast = 1e6;

// Rows of an outer product from which a call for each row is worth it.
constexpr std::int64_t kLongRow = 64;

// Up to this many multiplications a call of the BLAS takes longer than they do.
constexpr double kTiny = 128;

template <class T>
void tiny(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b,
          T beta, T* c) {
  const std::int64_t a_row = ta ? 1 : k, a_step = ta ? m : 1, b_step = tb ? 1 : n,
                     b_column = tb ? k : 1;
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j, ++c) {
      const T *x = a + i * a_row, *y = b + j * b_column;
      T total = 0;
      for (std::int64_t l = 0; l < k; ++l, x += a_step, y += b_step) total += *x * *y;
      *c = beta == T(0) ? total : beta * *c + total;
    }
}

// y (n) = beta y + M x with M (n, k), or its transpose in memory. OpenBLAS has no such case in its
// products: without AVX-512 they take four to seven times as long. Its own for the rows of M takes
// 1.7 times as long as ours.
template <class T>
void matrix_vector(bool transposed, std::int64_t n, std::int64_t k, const T* matrix, const T* x,
                   T beta, T* y) {
  const double row = 0.02 * sizeof(T) * static_cast<double>(k);
  if (!transposed) {
    constexpr std::int64_t grain = 8;
    return parallel_for(n, grain, row, [&](std::int64_t begin, std::int64_t end) {
      RowDots<T>::here(matrix + begin * k, x, end - begin, k, beta, y + begin);
    });
  }
  if (beta == T(0)) std::fill_n(y, n, T(0));
  const std::int64_t panels = std::max<std::int64_t>(n / kColumns, 1);
  parallel_for(panels, 1, row * kColumns, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t i = p * kColumns, rows = p + 1 == panels ? n - i : kColumns;
      Blas<T>::gemv(kRowMajor, kTranspose, static_cast<int>(k), static_cast<int>(rows), T(1),
                    matrix + i, static_cast<int>(n), x, 1, beta == T(0) ? T(1) : beta, y + i, 1);
    }
  });
}

// C (m, n) = a bᵀ. Without AVX-512 OpenBLAS takes three times as long.
template <class T>
void outer(std::int64_t m, std::int64_t n, const T* a, const T* b, T* c) {
  const auto multiply =
      chosen<Elementwise>()[static_cast<int>(ElementwiseId::mul)].value[sizeof(T) == 8];
  constexpr std::int64_t steps[] = {0, 1};
  parallel_for(m, 1, 0.06 * sizeof(T) * static_cast<double>(n),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const void* operands[] = {a + i, b};
                   multiply(nullptr, operands, steps, c + i * n, n);
                 }
               });
}

// OpenBLAS takes up to three times as long with B transposed as without, for short rows and for
// many rows of A. There it is quicker to copy a B of so few elements.
constexpr std::int64_t kCopied = 2048;

bool worth_copying(std::int64_t m, std::int64_t n, std::int64_t k) {
  return n * k <= kCopied && (k <= 16 ? m >= 8 : m >= 256 && n >= 8);
}

template <class T>
void call(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b,
          T beta, T* c) {
  if (std::max({m, n, k}) > std::numeric_limits<int>::max())
    fail("matmul", "sizes must fit in 31 bits, got ({}, {}) times ({}, {})", m, k, k, n);
  if (m == 0 || n == 0) return;
  // Not every BLAS touches C when there is nothing to add.
  const double row = static_cast<double>(n) * static_cast<double>(k);
  if (k == 0 || row * static_cast<double>(m) <= kTiny) return tiny(ta, tb, m, n, k, a, b, beta, c);
  if (m == 1) return matrix_vector(!tb, n, k, b, a, beta, c);
  if (n == 1) return matrix_vector(ta, m, k, a, b, beta, c);
  if (k == 1 && beta == T(0) && n >= kLongRow) return outer(m, n, a, b, c);
  if constexpr (sizeof(T) == 4)
    if (onednn_gemm(ta, tb, m, n, k, a, b, beta, c)) return;
  if (tb && worth_copying(m, n, k)) {
    T copy[kCopied];
    for (std::int64_t l = 0; l < k; ++l)
      for (std::int64_t j = 0; j < n; ++j) copy[l * n + j] = b[j * k + l];
    return call(ta, false, m, n, k, a, copy, beta, c);
  }
  const auto lda = static_cast<int>(ta ? m : k), ldb = static_cast<int>(tb ? k : n);
  const auto block = [&](std::int64_t row, std::int64_t rows, std::int64_t column,
                         std::int64_t columns) {
    // Column-major, as Cᵀ = op(B)ᵀ op(A)ᵀ: OpenBLAS has special ways for some row-major products.
    Blas<T>::gemm(kColumnMajor, tb ? kTranspose : kNoTranspose, ta ? kTranspose : kNoTranspose,
                  static_cast<int>(columns), static_cast<int>(rows), static_cast<int>(k), T(1),
                  b + (tb ? column * k : column), ldb, a + (ta ? row : row * k), lda, beta,
                  c + row * n + column, static_cast<int>(n));
  };
  if (row * static_cast<double>(m) < 2 * kLeast || row * kSlab < kLeast) return block(0, m, 0, n);
  if (m < 4 * kRows) {
    const std::int64_t panels = std::max<std::int64_t>(n / kColumns, 1);
    return parallel_for(
        panels, 1, gemm_cost<T>(m, kColumns, k), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t p = begin; p < end; ++p)
            block(0, m, p * kColumns, p + 1 == panels ? n - p * kColumns : kColumns);
        });
  }
  const std::int64_t grain = kRows * static_cast<std::int64_t>(std::ceil(kLeast / (kRows * row)));
  parallel_for(m, grain, gemm_cost<T>(1, n, k), [&](std::int64_t begin, std::int64_t end) {
    for (; end - begin >= 2 * kSlab; begin += kSlab) block(begin, kSlab, 0, n);
    block(begin, end - begin, 0, n);
  });
}

// Column-major, as Cᵀ = op(B)ᵀ op(A)ᵀ.
template <class T>
void part(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, T alpha, const T* a,
          std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (std::max({m, n, k, lda, ldb, ldc}) > std::numeric_limits<int>::max())
    fail("matmul", "sizes must fit in 31 bits, got rows of {}, {} and {}", lda, ldb, ldc);
  if constexpr (sizeof(T) == 4)
    if (onednn_gemm_part(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)) return;
  Blas<T>::gemm(kColumnMajor, tb ? kTranspose : kNoTranspose, ta ? kTranspose : kNoTranspose,
                static_cast<int>(n), static_cast<int>(m), static_cast<int>(k), alpha, b,
                static_cast<int>(ldb), a, static_cast<int>(lda), beta, c, static_cast<int>(ldc));
}

}  // namespace

void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
          const float* b, float beta, float* c) {
  call(ta, tb, m, n, k, a, b, beta, c);
}
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a,
          const double* b, double beta, double* c) {
  call(ta, tb, m, n, k, a, b, beta, c);
}

void gemm_part(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
               const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta,
               float* c, std::int64_t ldc) {
  part(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void gemm_part(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, double alpha,
               const double* a, std::int64_t lda, const double* b, std::int64_t ldb, double beta,
               double* c, std::int64_t ldc) {
  part(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace autograd::kernels
