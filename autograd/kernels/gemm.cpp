#include "autograd/kernels/gemm.hpp"

#include <algorithm>
#include <limits>

#include "autograd/errors.hpp"

// Declared here rather than through <cblas.h>, which some BLAS packages put elsewhere.
extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
void cblas_dgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, double alpha,
                 const double* a, int lda, const double* b, int ldb, double beta, double* c,
                 int ldc);
// OpenBLAS only; null with another BLAS.
[[gnu::weak]] void openblas_set_num_threads(int n);
}

namespace autograd::kernels {
namespace {

constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;

template <class T, class F>
void call(F&& blas, bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
          const T* b, T beta, T* c) {
  if (std::max({m, n, k}) > std::numeric_limits<int>::max())
    fail("matmul", "sizes must fit in 31 bits, got ({}, {}) times ({}, {})", m, k, k, n);
  if (m == 0 || n == 0) return;
  if (k == 0) {
    // Not every BLAS touches C when there is nothing to add.
    std::transform(c, c + m * n, c, [beta](T v) { return beta == T(0) ? T(0) : beta * v; });
    return;
  }
  const auto lda = static_cast<int>(ta ? m : k), ldb = static_cast<int>(tb ? k : n);
  blas(kRowMajor, ta ? kTranspose : kNoTranspose, tb ? kTranspose : kNoTranspose,
       static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), T(1), a, lda, b, ldb, beta, c,
       static_cast<int>(n));
}

// One thread until the program asks for more: small products only lose by threads.
[[maybe_unused]] const bool single = (set_gemm_threads(1), true);

}  // namespace

void set_gemm_threads(int n) {
  if (openblas_set_num_threads) openblas_set_num_threads(n);
}

void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
          const float* b, float beta, float* c) {
  call(cblas_sgemm, ta, tb, m, n, k, a, b, beta, c);
}
void gemm(bool ta, bool tb, std::int64_t m, std::int64_t n, std::int64_t k, const double* a,
          const double* b, double beta, double* c) {
  call(cblas_dgemm, ta, tb, m, n, k, a, b, beta, c);
}

}  // namespace autograd::kernels
