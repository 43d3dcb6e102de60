#pragma once

#include <cstdint>

#pragma GCC visibility push(default)  // for the tests

/// Matrix products: the one place that knows which libraries compute them.
namespace autograd::kernels {

/// C (m, n) = beta C + op(A) op(B), row-major, with op(A) (m, k) and op(B) (k, n); op transposes
/// where the flag says so. Sizes may be 0. Throws where a size exceeds BLAS's 31 bits. float32
/// products of medium size are oneDNN's where it is installed (onednn.hpp), those of rows with a
/// vector ours, all others the BLAS's. The libraries run on one thread; large products are cut for
/// the threads of `parallel_for`.
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const float* a, const float* b, float beta, float* c);
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const double* a, const double* b, double beta, double* c);

/// C (m, n) = alpha op(A) op(B) + beta C, all of them parts of larger matrices, whose rows begin
/// lda, ldb and ldc elements apart. On the thread that calls, whatever the sizes. Throws where one
/// exceeds BLAS's 31 bits.
void gemm_part(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
               float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
               float beta, float* c, std::int64_t ldc);
void gemm_part(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
               double alpha, const double* a, std::int64_t lda, const double* b, std::int64_t ldb,
               double beta, double* c, std::int64_t ldc);

inline double multiplications(std::int64_t m, std::int64_t n, std::int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

/// Rough nanoseconds of a product, for thresholds.
template <class T>
double gemm_cost(std::int64_t m, std::int64_t n, std::int64_t k) {
  return (sizeof(T) == 4 ? 0.01 : 0.02) * multiplications(m, n, k);
}

}  // namespace autograd::kernels

#pragma GCC visibility pop
