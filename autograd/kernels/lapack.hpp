#pragma once

#include <cstdint>

/// Factorisations of one row-major matrix: the one place that knows LAPACK. Sizes may be 0; throws
/// where one exceeds LAPACK's 31 bits. For float and double.
namespace autograd::kernels {

/// a (n, n) becomes its LU factors, in the layout that `lu_solve` reads; the diagonal holds that of
/// U. pivots[i] != i + 1 says that the rows were swapped at step i. False where a pivot is 0.
template <class T>
bool lu(std::int64_t n, T* a, int* pivots);
/// b (n, k) becomes A⁻¹ b, or A⁻ᵀ b, from the factors of A.
template <class T>
void lu_solve(bool transpose, std::int64_t n, std::int64_t k, const T* factors, const int* pivots,
              T* b);
/// b (m, n) becomes op(A)⁻¹ b, or b op(A)⁻¹, with A triangular; only that triangle is read.
template <class T>
void solve_triangular(bool left, bool upper, bool transpose, bool unit, std::int64_t m,
                      std::int64_t n, const T* a, T* b);
/// The lower triangle of a (n, n) becomes the factor L of A = L Lᵀ, the rest 0. Returns the order
/// of the first leading minor that is not positive, or 0.
template <class T>
std::int64_t cholesky(std::int64_t n, T* a);
/// t (n, n), of which only the lower triangle is read, the tangent of A, becomes that of its factor l
/// in the lower triangle; above it stays what is there, which must be 0.
template <class T>
void cholesky_tangent(std::int64_t n, const T* l, T* t);
/// A (m, n) = Q (m, k) R (k, n) with k = min(m, n), or m if `complete`. Destroys a.
template <class T>
void qr(bool complete, std::int64_t m, std::int64_t n, T* a, T* q, T* r);
/// A (m, n) = U diag(s) Vh with U (m, k), Vh (k, n) and k = min(m, n), or square U and Vh if
/// `full`; u and vh may be null together. Destroys a. False if the iteration does not converge.
template <class T>
bool svd(bool full, std::int64_t m, std::int64_t n, T* a, T* u, T* s, T* vh);
/// Eigenvalues, ascending, of the symmetric matrix with the lower triangle of a (n, n), which
/// becomes the eigenvectors in columns, or is destroyed. False if it does not converge.
template <class T>
bool eigh(bool vectors, std::int64_t n, T* a, T* values);

}  // namespace autograd::kernels
