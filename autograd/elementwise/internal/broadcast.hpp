#pragma once

#include <span>

#include "autograd/core/cpu.hpp"
#include "autograd/core/tensor.hpp"

/// Loops over broadcast operands. Internal.
namespace autograd::internal {

/// Visits every element of `out` in order, as runs of `inner()` elements, together with the places
/// of the operands, which are contiguous tensors that broadcast to it. Axes that behave alike are
/// joined first.
class BroadcastLoop {
 public:
  /// A null shape is an operand without elements: its offsets stay 0.
  BroadcastLoop(std::span<const Shape* const> operands, const Shape& out);

  /// Elements per run; in a run operand k advances by inner_step(k), 1 or 0.
  std::int64_t inner() const { return sizes_.back(); }
  std::int64_t inner_step(std::size_t k) const {
    return strides_[(sizes_.size() - 1) * operands_ + k];
  }

  std::int64_t runs() const {
    std::int64_t n = empty_ ? 0 : 1;
    for (std::size_t d = 0; d + 1 < sizes_.size(); ++d) n *= sizes_[d];
    return n;
  }

  /// Operand k has the same elements in each run.
  bool repeats(std::size_t k) const;
  /// Writes what the runs from `begin` to `end` read of operand k, `size` bytes each, one after the
  /// other.
  void spell_out(std::size_t k, const void* operand, std::size_t size, std::int64_t begin,
                 std::int64_t end, void* to) const;

  /// Calls f(offsets of the operands in elements, offset of out) for each run.
  template <class F>
  void run(F&& f) const {
    run(0, runs(), f);
  }
  /// The same on the threads of `parallel_for`; an element costs `cost` nanoseconds.
  template <class F>
  void run_parallel(double cost, F&& f) const {
    parallel_for(runs(), 1, cost * static_cast<double>(inner()),
                 [&](std::int64_t begin, std::int64_t end) { run(begin, end, f); });
  }

 private:
  template <class F>
  void run(std::int64_t begin, std::int64_t end, F&& f) const {
    const std::size_t outer = sizes_.size() - 1;
    InlineVector<std::int64_t, 8> index(sizes_.size(), 0), at(operands_, 0);
    for (std::size_t d = outer, rest = static_cast<std::size_t>(begin); rest > 0;) {
      const auto size = static_cast<std::size_t>(sizes_[--d]);
      index[d] = static_cast<std::int64_t>(rest % size);
      for (std::size_t k = 0; k < operands_; ++k) at[k] += index[d] * strides_[d * operands_ + k];
      rest /= size;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      f(static_cast<const std::int64_t*>(at.data()), i * inner());
      for (std::size_t d = outer; d > 0;) {
        --d;
        for (std::size_t k = 0; k < operands_; ++k) at[k] += strides_[d * operands_ + k];
        if (++index[d] < sizes_[d]) break;
        for (std::size_t k = 0; k < operands_; ++k)
          at[k] -= strides_[d * operands_ + k] * sizes_[d];
        index[d] = 0;
      }
    }
  }

  std::size_t operands_;
  bool empty_;
  InlineVector<std::int64_t, 8> sizes_;     // joined axes, outermost first; at least one
  InlineVector<std::int64_t, 24> strides_;  // [axis][operand]
};

/// Fills `out` with the elements of `t` broadcast to its shape.
void expand_into(const Tensor& t, Tensor& out);
/// A new tensor with the elements of `t` broadcast to `shape`, off the tape.
Tensor expanded(const Tensor& t, const Shape& shape);

}  // namespace autograd::internal
