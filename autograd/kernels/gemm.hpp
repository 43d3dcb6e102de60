#pragma once

#include <cstdint>

/// Matrix products: the one place that knows which BLAS is linked.
namespace autograd::kernels {

/// C (m, n) = beta C + op(A) op(B), row-major, with op(A) (m, k) and op(B) (k, n); op transposes
/// where the flag says so. Sizes may be 0. Throws where a size exceeds BLAS's 31 bits.
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const float* a, const float* b, float beta, float* c);
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const double* a, const double* b, double beta, double* c);

/// Threads of the BLAS, where it can be told.
void set_gemm_threads(int n);

}  // namespace autograd::kernels
