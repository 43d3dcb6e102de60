#include "autograd/kernels/distance.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

template <class T>
void add_differences(const T* __restrict x, const T* __restrict y, const double* factors,
                     std::int64_t rows, std::int64_t n, double* __restrict sum) {
  for (std::int64_t j = 0; j < rows; ++j, y += n) {
    const double factor = factors[j];
    for (std::int64_t k = 0; k < n; ++k)
      sum[k] += factor * (static_cast<double>(x[k]) - static_cast<double>(y[k]));
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(AddDifferences, add_differences)
