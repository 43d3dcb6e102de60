#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "autograd/tensor.hpp"

/// What a recording of `compile()` sees of the operations that run. Internal.
namespace autograd {

class Inputs;

namespace detail {

/// The kernel of an elementwise operation: out[i] = f(in[0][i], in[1][i], …) for i < n, where
/// operand k advances by step[k], 1 or 0, and may be null if the formula does not use it.
using ElementwiseRun = void (*)(const void* formula, const void* const* in,
                                const std::int64_t* step, void* out, std::int64_t n);

/// How an operation is computed element by element: for each operand of `run` the input that it
/// is, or -1 for none. Without `run` it is not. With `expands`, the result is one input repeated.
struct Pass {
  ElementwiseRun run = nullptr;
  const void* formula = nullptr;
  InlineVector<int, 10> operands{};
  bool expands = false;
};

/// One computation that can run again on other elements: from inputs to outputs whose shapes and
/// dtypes stay the same.
class Instruction {
 public:
  virtual ~Instruction() = default;
  virtual std::string_view name() const = 0;
  virtual void run(const Inputs& in, std::span<Tensor> out) const = 0;
  virtual Pass pass(const Inputs&, const Tensor&) const { return {}; }
  /// Does more than to fill its outputs: runs even if nobody uses them, and in its order.
  virtual bool has_effect() const { return false; }
  /// Inputs from this one on are written in place.
  virtual std::size_t first_written() const { return static_cast<std::size_t>(-1); }
};

/// Runs an instruction and appends it to the recording of this thread.
void trace(std::unique_ptr<Instruction> instruction, const Inputs& in, std::span<Tensor> out);

/// Elements that the program makes while a recording is on, and that no instruction writes.
void trace_created(const Tensor& t);
/// Throws, while a recording is on, for what a replay would leave out.
void refuse_in_trace(std::string_view what, std::string_view advice);
/// Something other than the elements has changed of the tensor that owns `storage`: recordings that
/// use it are not valid any more.
void trace_invalidate(const Storage& storage) noexcept;
// The gradient that a leaf keeps is looked at, or replaced.
void trace_gradient_read(Node& leaf);
void trace_gradient_write(Node& leaf);

/// No recording in a scope.
class TraceOff {
 public:
  TraceOff() noexcept : previous_(tracing) { tracing = false; }
  ~TraceOff() { tracing = previous_; }
  TraceOff(const TraceOff&) = delete;
  TraceOff& operator=(const TraceOff&) = delete;

 private:
  bool previous_;
};

}  // namespace detail
}  // namespace autograd
