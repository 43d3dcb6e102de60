#pragma once

#include "autograd/core/trace.hpp"

/// Ways besides element by element in which recordings can compute an operation: a `Pass` says so by
/// its first operand. Internal.
namespace autograd::detail {

/// Each row of the results, the last axis of the first one, is made of the same row of the inputs.
/// `run` does it for n rows: `in` is a list of all inputs that ends with null, `out` one of pointers
/// to the results, where those that nobody reads may be null, and step[0] how many elements a row of
/// the first result has. The other operands are all inputs in order, kWhole for those that have no
/// rows but are the same for all.
inline constexpr int kByRows = -2;
inline constexpr int kWhole = -3;
/// Without `run`: each element of the only result is 0 or some element of the inputs, as it was.
inline constexpr int kMoves = -4;

inline bool is(const Pass& pass, int way) {
  return !pass.operands.empty() && pass.operands[0] == way;
}

/// That of an operation that goes by rows: `op.run_rows<T>(inputs, results, rows, n)` does it for
/// rows of n elements, on the thread that calls. `operands`: of the pass, all but the first.
template <class Op>
Pass by_rows(const Op& op, const Tensor& out, const InlineVector<int, 9>& operands) {
  const auto run = [](auto zero) -> ElementwiseRun {
    return [](const void* self, const void* const* in, const std::int64_t* step, void* results,
              std::int64_t rows) {
      static_cast<const Op*>(self)->template run_rows<decltype(zero)>(
          in, static_cast<void* const*>(results), rows, *step);
    };
  };
  Pass pass{out.dtype() == float32 ? run(0.0f) : run(0.0), &op, {kByRows}};
  pass.operands.append(operands.begin(), operands.end());
  return pass;
}

}  // namespace autograd::detail
