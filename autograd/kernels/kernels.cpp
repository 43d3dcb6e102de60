#include "autograd/kernels/kernels.hpp"

#include "autograd/core/cpu.hpp"

namespace autograd::kernels {
namespace {

Table fill() {
  Table t{};
  switch (simd_level()) {
#if defined(XGRAD_HAVE_AVX512)
    case SimdLevel::avx512:
      avx512::fill_elementwise(t);
      avx512::fill_reduce(t);
      avx512::fill_rows(t);
      break;
#endif
#if defined(XGRAD_HAVE_AVX2)
    case SimdLevel::avx2:
      avx2::fill_elementwise(t);
      avx2::fill_reduce(t);
      avx2::fill_rows(t);
      break;
#endif
    default:
      baseline::fill_elementwise(t);
      baseline::fill_reduce(t);
      baseline::fill_rows(t);
  }
  return t;
}

}  // namespace

const Table& single_threaded() {
  static const Table table = fill();
  return table;
}

}  // namespace autograd::kernels
