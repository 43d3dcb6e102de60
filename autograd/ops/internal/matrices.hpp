#pragma once

#include <string>
#include <string_view>

#include "autograd/core/tensor.hpp"

/// What the operations on matrices, batched over leading axes, share. Internal.
namespace autograd::internal {

/// op(a) op(b), batched, where op transposes if the flag says so: no copies, also in the gradient.
Tensor product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b);

/// op(A)⁻¹ B, or B op(A)⁻¹ unless `left`, with A triangular; errors begin with `op`.
Tensor solve_triangular(std::string_view op, const Tensor& a, const Tensor& b, bool left,
                        bool upper, bool transpose);

/// `inv`, `pinv` and `svdvals` whose errors begin with `op`.
Tensor inverse(std::string_view op, const Tensor& a);
Tensor pseudo_inverse(std::string_view op, const Tensor& a, double rtol);
Tensor singular_values(std::string_view op, const Tensor& a);

/// Throws unless floating and (…, m, n), or (…, n, n).
void check_matrix(std::string_view op, const Tensor& x);
void check_square(std::string_view op, const Tensor& x);
/// Throws where a matrix holds NaN or an infinity.
void check_finite(std::string_view op, const Tensor& x);

/// The leading axes, all but the last two.
Shape batch_of(const Shape& s);
/// batch + (m, n), and batch + (n).
Shape matrices(Shape batch, std::int64_t m, std::int64_t n);
Shape vectors(Shape batch, std::int64_t n);
/// " at batch (2,)" for matrix number i; nothing where there are no leading axes.
std::string at_batch(const Shape& batch, std::int64_t i);

/// (x + xᵀ) / 2.
Tensor symmetric(const Tensor& x);

}  // namespace autograd::internal
