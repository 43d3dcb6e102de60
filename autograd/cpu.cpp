#include "autograd/cpu.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "autograd/errors.hpp"
#include "autograd/kernels/gemm.hpp"

namespace autograd {
namespace {

SimdLevel detect() {
#if defined(XGRAD_HAVE_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return SimdLevel::avx512;
#endif
#if defined(XGRAD_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SimdLevel::avx2;
#endif
  return SimdLevel::baseline;
}

SimdLevel limited() {
  const char* text = std::getenv("XGRAD_SIMD");
  if (!text || !*text) return detect();
  constexpr std::string_view names[] = {"baseline", "avx2", "avx512"};
  const auto* found = std::find(std::begin(names), std::end(names), text);
  if (found == std::end(names))
    fail("XGRAD_SIMD", "the variable must be baseline, avx2 or avx512, got '{}'", text);
  return std::min(detect(), static_cast<SimdLevel>(found - std::begin(names)));
}

int threads = 1;

}  // namespace

SimdLevel simd_level() {
  static const SimdLevel level = limited();
  return level;
}

void set_num_threads(int n) {
  if (n < 1) fail("set_num_threads", "needs at least 1 thread, got {}", n);
  threads = n;
  kernels::set_gemm_threads(n);
}

int num_threads() { return threads; }

}  // namespace autograd
