#pragma once

#include <benchmark/benchmark.h>

#include <cstdlib>

/// What the programs of the comparison have in common.
namespace settings {

/// How many threads this run may use: OMP_NUM_THREADS, which `run` sets.
inline int threads() {
  const char* n = std::getenv("OMP_NUM_THREADS");
  return n ? std::atoi(n) : 1;
}

/// The products (m, k) (k, n) of the GEMM rows as (m, n, k).
inline void gemm_sizes(benchmark::internal::Benchmark* row) {
  row->Args({1024, 1024, 1024})
      ->Args({64, 256, 784})
      ->Args({64, 128, 256})
      ->Args({256, 256, 784})
      ->Args({784, 256, 64})
      ->Args({32, 64, 64});
}

/// The batches of the MLP rows.
inline void batches(benchmark::internal::Benchmark* row) { row->Arg(1)->Arg(64)->Arg(256); }

}  // namespace settings
