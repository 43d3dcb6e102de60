#pragma once

#include <cstdint>

/// Kernels: raw buffers in, raw buffers out. No tensors, no tape, no shapes beyond counts;
/// everything was validated before. Compiled once for each instruction set; `active()` is the set
/// for this machine. This header and the files in isa/ use nothing from the standard library that
/// could leave a shared symbol.
namespace autograd::kernels {

using ElementwiseRun = void (*)(const void* f, const void* const* in, const std::int64_t* step,
                                void* out, std::int64_t n);

/// Position of each elementwise operation in the table.
enum class ElementwiseId {
#define PRIMITIVE(name, ...) name,
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#define COMPARE(name, ...) name,
#include "autograd/formulas/elementwise.def"
  count
};

struct ElementwiseKernels {
  ElementwiseRun value[3];        // float32, float64, int64
  ElementwiseRun gradient[3][2];  // by input, by floating dtype
};

/// Elements that `sum` adds in their own precision before the double total.
constexpr std::int64_t kSumBlock = 1024;

/// Kernels of one floating type.
template <class T>
struct Floating {
  /// y[i] += x[i].
  void (*add)(T* y, const T* x, std::int64_t n);
  /// out[o][i] = Σ_k in[o][k][i] with in (outer, n, inner), each k `stride` after the one before.
  void (*sum)(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
              std::int64_t stride);
  /// Largest and smallest, NaN if any is; n > 0.
  void (*max)(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
              std::int64_t stride);
  void (*min)(const T* in, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner,
              std::int64_t stride);
  /// Rows of length n: y = softmax(x) or log_softmax(x); the gradient from y and its cotangent g.
  void (*softmax)(const T* x, T* y, std::int64_t rows, std::int64_t n);
  void (*softmax_gradient)(const T* y, const T* g, T* out, std::int64_t rows, std::int64_t n);
  void (*log_softmax)(const T* x, T* y, std::int64_t rows, std::int64_t n);
  void (*log_softmax_gradient)(const T* y, const T* g, T* out, std::int64_t rows, std::int64_t n);
  /// Rows normalised to mean 0 and variance 1; keeps mean and 1/σ of each row. weight and bias (n)
  /// may be null.
  void (*layer_norm)(const T* x, const T* weight, const T* bias, T* y, T* mean, T* rstd,
                     std::int64_t rows, std::int64_t n, double eps);
  /// gx may be null; gweight and gbias are added to, and may be null.
  void (*layer_norm_gradient)(const T* x, const T* weight, const T* mean, const T* rstd, const T* g,
                              T* gx, T* gweight, T* gbias, std::int64_t rows, std::int64_t n);
};

struct Table {
  ElementwiseKernels elementwise[static_cast<int>(ElementwiseId::count)];
  Floating<float> f32;
  Floating<double> f64;

  template <class T>
  const Floating<T>& floating() const {
    if constexpr (sizeof(T) == 4)
      return f32;
    else
      return f64;
  }
};

#define XGRAD_DECLARE_ISA(isa)         \
  namespace isa {                      \
  void fill_elementwise(Table& table); \
  void fill_reduce(Table& table);      \
  void fill_rows(Table& table);        \
  }
XGRAD_DECLARE_ISA(baseline)
XGRAD_DECLARE_ISA(avx2)
XGRAD_DECLARE_ISA(avx512)

/// The table for this CPU (see cpu.hpp), filled at the first call. Its kernels for floating types
/// use the threads of `parallel_for`; elementwise ones leave that to their caller.
const Table& active();
/// The kernels themselves, on the calling thread.
const Table& single_threaded();

}  // namespace autograd::kernels
