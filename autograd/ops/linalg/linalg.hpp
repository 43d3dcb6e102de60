#pragma once

#include <cstdint>
#include <string_view>

#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Products and linear algebra. Operations on matrices are batched over leading axes, which
/// broadcast between operands; matrices may be empty. float32 and float64 only, unless said.
namespace autograd {

// ---------------------------------------------------------------- products

/// Matrix product as NumPy's: 2-D; batched over broadcast leading axes; a 1-D operand is a row on
/// the left, a column on the right, and its axis goes. The environment variable XGRAD_GEMM
/// (openblas, onednn) says which library computes float32 products; without it oneDNN does where it
/// is installed and faster.
Tensor matmul(const Tensor& a, const Tensor& b);
/// x Wᵀ + bias with x (…, in), weight (out, in), bias (out) or undefined. → (…, out).
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
/// Sum of the products of two 1-D tensors of one size.
Tensor dot(const Tensor& a, const Tensor& b);
/// The same: elements are real.
Tensor vdot(const Tensor& a, const Tensor& b);
/// Sum over the last axes, of one size: a (…, k), b (…', k) → (…, …'). A 0-d operand multiplies.
Tensor inner(const Tensor& a, const Tensor& b);
/// a (n), b (m) → (n, m), out[i][j] = a[i] b[j]. Also for int64.
Tensor outer(const Tensor& a, const Tensor& b);
/// Kronecker product, of any ranks: sizes are products. Also for int64.
Tensor kron(const Tensor& a, const Tensor& b);
/// Cross product of the 3-vectors along `axis`; the operands broadcast. Also for int64.
Tensor cross(const Tensor& a, const Tensor& b, std::int64_t axis = -1);
/// Sum of the elements (i, i + offset) of each matrix. Also for int64.
Tensor trace(const Tensor& a, std::int64_t offset = 0);
/// Product of all matrices, multiplied in the cheapest order (dynamic programming). The first may
/// be a row and the last a column, 1-D; the others are 2-D.
Tensor multi_dot(const TensorList& matrices);
/// Einstein summation over any number of operands: "ij,jk->ik". Without "->", the subscripts that
/// occur once remain, in alphabetical order behind those of "...". A subscript repeated in one
/// operand takes the diagonal; sizes of 1 broadcast; an ellipsis missing in the result is summed.
/// Contracts the pair with the smallest result first, as batched matrix products.
Tensor einsum(std::string_view equation, const TensorList& operands);
/// Sum over the last `count` axes of a and the first `count` axes of b.
Tensor tensordot(const Tensor& a, const Tensor& b, std::int64_t count = 2);
/// Sum over axes_a[i] of a and axes_b[i] of b, of one size; the other axes of a, then those of b.
Tensor tensordot(const Tensor& a, const Tensor& b, const Axes& axes_a, const Axes& axes_b);

// ---------------------------------------------------------------- systems and inverses

/// X with A X = B, A (…, n, n). B is (…, n, k), or a vector (n), or vectors of the batch shape of
/// A, (…, n). A pivot that is exactly 0 throws, as in `inv`.
Tensor solve(const Tensor& a, const Tensor& b);
/// A⁻¹. Throws where a matrix is singular.
Tensor inv(const Tensor& a);
/// X with A X = B, or X A = B unless `left`. Reads one triangle of A, the lower or the `upper` one,
/// with ones in place of the diagonal if `unitriangular`. Throws at a 0 on the diagonal.
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left = true,
                        bool unitriangular = false);
/// X with A X = B from the factor of A: A = L Lᵀ, or A = Uᵀ U if `upper`.
Tensor cholesky_solve(const Tensor& b, const Tensor& factor, bool upper = false);
/// The X of least norm that minimises |A X - B|: pinv(A, rtol) B, for any rank. B as in `solve`.
/// The gradient holds where the rank stays the same.
Tensor lstsq(const Tensor& a, const Tensor& b, double rtol = -1);
/// Pseudo-inverse. Singular values up to rtol times the largest count as 0; rtol < 0 stands for
/// max(m, n) eps. The gradient (Golub and Pereyra 1973) holds where the rank stays the same.
Tensor pinv(const Tensor& a, double rtol = -1);
/// Determinant; 1 for (0, 0). The gradient is the matrix of cofactors, also for singular matrices,
/// and to any order.
Tensor det(const Tensor& a);
struct SlogdetResult {
  Tensor sign, logabsdet;
};
/// Sign and log |det|, without overflow; 0 and -inf for a singular matrix, at which the gradient
/// throws. The sign has no gradient.
SlogdetResult slogdet(const Tensor& a);

// ---------------------------------------------------------------- decompositions

/// L, lower, with A = L Lᵀ, or U = Lᵀ if `upper`. Reads the lower triangle; the gradient is that of
/// a symmetric A, and symmetric. Throws unless positive definite.
Tensor cholesky(const Tensor& a, bool upper = false);
struct QrResult {
  Tensor Q, R;
};
/// A (m, n) = Q R with orthonormal columns of Q, R upper triangular, and signs as LAPACK's: Q
/// (m, k), R (k, n), k = min(m, n), or m in mode "complete", where Q has no gradient if m > n.
/// The gradient needs the first k columns of A to be independent, and throws otherwise.
QrResult qr(const Tensor& a, std::string_view mode = "reduced");
struct SvdResult {
  Tensor U, S, Vh;
};
/// A (m, n) = U diag(S) Vh, S descending: U (m, k), Vh (k, n), k = min(m, n); square if
/// `full_matrices` (PyTorch's default), where what was added has no gradient. U and Vh are unique
/// up to signs; their gradient is right for functions that do not depend on those, and NaN or
/// infinite where singular values coincide.
SvdResult svd(const Tensor& a, bool full_matrices = false);
/// The singular values alone, descending. Has a gradient also where they coincide.
Tensor svdvals(const Tensor& a);
struct EighResult {
  Tensor eigenvalues, eigenvectors;
};
/// A = V diag(λ) Vᵀ of symmetric A, λ ascending, eigenvectors in the columns of V. Reads the lower
/// triangle; the gradient is that of a symmetric A, and symmetric. V is unique up to signs, with
/// the same consequences as in `svd`.
EighResult eigh(const Tensor& a);
/// The eigenvalues alone, ascending. Has a gradient also where they coincide.
Tensor eigvalsh(const Tensor& a);
/// Number of singular values above rtol times the largest, as int64; rtol as in `pinv`. No
/// gradient.
Tensor matrix_rank(const Tensor& a, double rtol = -1);

// ---------------------------------------------------------------- functions and norms

/// exp(A) = I + A + A²/2 + …, by scaling and squaring with the Padé approximant of degree 13
/// (Higham 2005), in double. Its gradient is itself a matrix exponential.
Tensor matrix_exp(const Tensor& a);
/// Aⁿ; the identity for n = 0, a power of the inverse for n < 0.
Tensor matrix_power(const Tensor& a, std::int64_t n);
/// Norm of each matrix: "fro" (gradient 0 at 0) or "nuc", the sum of the singular values.
Tensor matrix_norm(const Tensor& a, std::string_view ord = "fro", bool keepdims = false);
/// ord 1, -1: largest, smallest sum of |column|; inf, -inf: of |row|; 2, -2: singular value.
/// Throws for other numbers, and where an extreme of nothing would be taken.
Tensor matrix_norm(const Tensor& a, double ord, bool keepdims = false);
/// Condition number: the largest singular value over the smallest; inf for a singular matrix.
Tensor cond(const Tensor& a);

}  // namespace autograd

#pragma GCC visibility pop
