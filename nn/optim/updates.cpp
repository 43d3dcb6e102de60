#include "nn/optim/isa/updates.hpp"
#include "autograd/core/cpu.hpp"

namespace nn::optim::kernels {
namespace {

const Table& active() {
  static const Table& table = []() -> const Table& {
    switch (autograd::simd_level()) {
#if defined(XGRAD_HAVE_AVX512)
      case autograd::SimdLevel::avx512:
        return avx512::table();
#endif
#if defined(XGRAD_HAVE_AVX2)
      case autograd::SimdLevel::avx2:
        return avx2::table();
#endif
      default:
        return baseline::table();
    }
  }();
  return table;
}

}  // namespace

const Updates<float>& updates(float) { return active().updates_f32; }
const Updates<double>& updates(double) { return active().updates_f64; }
const Clipping<float>& clipping(float) { return active().clipping_f32; }
const Clipping<double>& clipping(double) { return active().clipping_f64; }

}  // namespace nn::optim::kernels
