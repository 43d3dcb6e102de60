#pragma once

namespace autograd {

/// Instruction sets that kernels are compiled for.
enum class SimdLevel { baseline, avx2, avx512 };

/// The best level that this CPU and this build have; the environment variable XGRAD_SIMD
/// (baseline, avx2, avx512) lowers it. Throws if the variable holds anything else.
SimdLevel simd_level();

/// Threads that matrix products may use; 1 until set. Throws below 1.
void set_num_threads(int n);
int num_threads();

}  // namespace autograd
