#include "autograd/kernels/outer_sum.hpp"

#include "autograd/core/cpu.hpp"
#include "autograd/core/kernel_call.hpp"
#include "autograd/kernels/gemm.hpp"

namespace autograd::kernels {

template <class T>
void outer_sum(const T* a, const T* b, std::int64_t rows, std::int64_t m, std::int64_t n, T* c) {
  constexpr std::int64_t grain = 16;  // whole blocks of the kernel, and whole cache lines of a
  parallel_for(m, grain, gemm_cost<T>(1, n, rows), [&](std::int64_t begin, std::int64_t end) {
    OuterSum<T>::here(a, b, rows, m, n, c, begin, end);
  });
}
template void outer_sum(const float*, const float*, std::int64_t, std::int64_t, std::int64_t,
                        float*);
template void outer_sum(const double*, const double*, std::int64_t, std::int64_t, std::int64_t,
                        double*);

}  // namespace autograd::kernels
