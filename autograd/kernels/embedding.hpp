#pragma once

#include "autograd/core/kernel.hpp"

/// Bags of rows of a table: bag b is the places from begins[b] to begins[b + 1] - 1, of which those
/// below 0 count for nothing.
namespace autograd::kernels {

/// out = Σ factors[i] · table[places[i]] for each bag, from 0 on; factors may be null: 1.
template <class T>
struct BagSum
    : Kernel<BagSum<T>, ByRows<5000>,
             void(const T* table, const std::int64_t* places, Each<const std::int64_t> begins,
                  const T* factors, Row<T> out, Count bags, Length width)> {};

/// The largest element of each column of a bag and its place: the first of equal ones, the last NaN;
/// 0 and -1 for a bag without rows.
template <class T>
struct BagMax
    : Kernel<BagMax<T>, ByRows<10000>,
             void(const T* table, const std::int64_t* places, Each<const std::int64_t> begins,
                  Row<T> out, Row<std::int64_t> winners, Count bags, Length width)> {};

/// out[i] = g[bags[i]] · table[places[i]], or 0 for a place below 0.
template <class T>
struct BagDots
    : Kernel<BagDots<T>, ByRows<200>,
             void(const T* table, Each<const std::int64_t> places, const T* g,
                  Each<const std::int64_t> bags, Each<T> out, Count entries, Length width)> {};

}  // namespace autograd::kernels
