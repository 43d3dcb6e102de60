#pragma once

#include <cstdint>

#pragma GCC visibility push(default)  // for the tests

/// Float32 matrix products by oneDNN, which is looked for when the program runs.
namespace autograd::kernels {

/// oneDNN 3 or 2, for dlsym: the newest that the loader finds, or null.
void* open_onednn();

/// The product that `gemm` describes, for sizes where oneDNN is the faster library; false, with
/// nothing done, for other sizes and where oneDNN or AVX2 is missing. A block of it that oneDNN
/// refuses, such as for want of memory, is the BLAS's. The environment variable
/// XGRAD_GEMM says `openblas` for never, or `onednn` for an error where it is missing. Loading the
/// library and its first product take some 30 ms and 40 MB: only products of more than a million
/// multiplications do it, and parts as below.
bool onednn_gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 const float* a, const float* b, float beta, float* c);

/// The same for the product that `gemm_part` describes, if it has more than 100,000
/// multiplications: in one call on the thread that calls. False also where oneDNN refuses.
bool onednn_gemm_part(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
                      std::int64_t k, float alpha, const float* a, std::int64_t lda, const float* b,
                      std::int64_t ldb, float beta, float* c, std::int64_t ldc);

}  // namespace autograd::kernels

#pragma GCC visibility pop
