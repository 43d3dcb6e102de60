#pragma once

#include <cstddef>
#include <cstdint>

#include "autograd/core/trace.hpp"

/// Elementwise kernels over tensors.
namespace autograd::internal {

inline std::size_t kernel_index(DType d) { return static_cast<std::size_t>(d); }

/// The operands of a formula over n elements (null: one that it does not use), with room for
/// cotangent and result.
struct Operands {
  static constexpr std::size_t kMost = 10;
  std::int64_t n;
  std::size_t count;
  bool flat = true;  // each has n elements or one
  const Tensor* tensor[kMost];
  const void* p[kMost];
  std::int64_t step[kMost];

  Operands(std::int64_t elements, std::size_t operands) : n(elements), count(operands) {}
  void set(std::size_t k, const Tensor& t) {
    const auto& impl = *t.impl();
    const bool whole = impl.numel == n;
    tensor[k] = &t;
    step[k] = whole && n > 1;
    flat &= whole || impl.numel == 1;
    p[k] = impl.storage->plain_data();
    // What stands for other elements is for who traces them; otherwise it refuses to have any.
    if (p[k] || (detail::tracing && impl.storage->instead())) return;
    p[k] = whole ? impl.storage->repeated() : nullptr;
    if (p[k])
      step[k] = 0;
    else
      p[k] = impl.storage->data();
  }
  void skip(std::size_t k) {
    tensor[k] = nullptr;
    p[k] = nullptr;
    step[k] = 0;
  }
};

// Below one step of parallel_for the test alone would cost more than the kernel.
inline constexpr std::int64_t kFew = 64;

/// Runs one kernel over broadcast operands into `out`, which has in.n elements.
void run_any(detail::ElementwiseRun kernel, const void* formula, const Operands& in, Tensor& out);
inline void run(detail::ElementwiseRun kernel, const void* formula, const Operands& in,
                Tensor& out) {
  if (in.n > kFew || !in.flat) return run_any(kernel, formula, in, out);
  kernel(formula, in.p, in.step, out.impl()->storage->data_to_overwrite(), in.n);
}
/// Adds what a kernel makes of flat operands to `total`.
void run_onto(detail::ElementwiseRun kernel, const void* formula, const Operands& in,
              Tensor& total);

}  // namespace autograd::internal
