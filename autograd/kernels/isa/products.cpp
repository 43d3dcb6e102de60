#include "autograd/kernels/products.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

// A plain loop, which compilers turn into wide arithmetic.
template <class T>
void multiply_tangents(std::int64_t n, const T* x, const T* t, double* product, double* tangent) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double factor = static_cast<double>(x[i]);
    tangent[i] = tangent[i] * factor + product[i] * static_cast<double>(t[i]);
    product[i] *= factor;
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_FLOATING_KERNEL(MultiplyTangents, multiply_tangents)
