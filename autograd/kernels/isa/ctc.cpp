#include "autograd/kernels/ctc.hpp"

#include "autograd/formulas/simd_math.hpp"

namespace autograd::kernels::XGRAD_ISA {
namespace {

using V = simd::Vec<double>;

V get(const double* p, std::int64_t count) {
  return count >= V::size ? V::load(p) : simd::load_first(p, count);
}
void put(V x, double* p, std::int64_t count) {
  count >= V::size ? x.store(p) : simd::store_first(x, p, count);
}

void log_sums(const double* a, const double* b, const double* c, const double* skip, double* y,
              std::int64_t n) {
  const V none = -simd::special::infinity;
  for (std::int64_t i = 0; i < n; i += V::size) {
    const std::int64_t left = n - i;
    const V u = get(a + i, left), v = get(b + i, left), w = get(c + i, left) + get(skip + i, left),
            most = maximum(u, maximum(v, w));
    // The difference of infinities would be NaN.
    const V by = where(most == none, V(0), most);
    put(by + log(exp(u - by) + exp(v - by) + exp(w - by)), y + i, left);
  }
}

void shares(const double* a, const double* b, double total, double factor, double* y,
            std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += V::size) {
    const std::int64_t left = n - i;
    put(factor * exp(get(a + i, left) + get(b + i, left) - total), y + i, left);
  }
}

}  // namespace
}  // namespace autograd::kernels::XGRAD_ISA

XGRAD_KERNEL(LogSums, log_sums)
XGRAD_KERNEL(Shares, shares)
