#pragma once

#include "autograd/core/kernel.hpp"

/// Products of two tall matrices over their rows, as gradients of weights are: the sum of the outer
/// products of all pairs of rows.
namespace autograd::kernels {

/// The rows from `begin` to `end` of c (m, n) = aᵀ b, with a (rows, m) and b (rows, n).
template <class T>
struct OuterSum : Kernel<OuterSum<T>, Whole,
                         void(const T* a, const T* b, std::int64_t rows, std::int64_t m,
                              std::int64_t n, T* c, std::int64_t begin, std::int64_t end)> {};

/// Whether `outer_sum` is quicker than a matrix product that copies its factors: while c, to which
/// each block of rows is added, stays in cache.
constexpr bool suits_outer_sum(std::int64_t m, std::int64_t n) {
  constexpr std::int64_t most = 1 << 16;
  return m <= most && n <= most && m * n <= most;
}
/// All of c, on the threads there are. An element is one chain of fused multiplications and
/// additions, the same for any number of them.
template <class T>
void outer_sum(const T* a, const T* b, std::int64_t rows, std::int64_t m, std::int64_t n, T* c);

}  // namespace autograd::kernels
