#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "autograd/core/attributes.hpp"
#include "autograd/core/recording.hpp"
#include "autograd/core/tensor.hpp"

#pragma GCC visibility push(default)

/// Computations on elements, below the tape: what `compile()` records and runs again.
namespace autograd {

namespace internal {
class [[gnu::visibility("hidden")]] Batch;
}

/// The inputs of one call, by reference: valid during the call.
class Inputs {
 public:
  Inputs(std::span<const Tensor* const> tensors) : tensors_(tensors) {}  // NOLINT
  const Tensor& operator[](std::size_t i) const { return *tensors_[i]; }
  std::size_t size() const { return tensors_.size(); }
  /// `count` of them from number `first` on.
  Inputs part(std::size_t first, std::size_t count) const { return tensors_.subspan(first, count); }

 private:
  std::span<const Tensor* const> tensors_;
};

/// Inputs of a call that are gathered at run time, such as those of a TensorList. It holds no
/// tensors but refers to them: they must outlive it, and it the `Inputs` that it is passed as.
class InputList {
 public:
  InputList() = default;
  explicit InputList(std::span<const Tensor> tensors) { add(tensors); }
  void add(const Tensor& t) { pointers_.push_back(&t); }
  void add(std::span<const Tensor> tensors) {
    for (const Tensor& t : tensors) add(t);
  }
  operator Inputs() const {  // NOLINT: it is what calls take
    return std::span<const Tensor* const>(pointers_.data(), pointers_.size());
  }

 private:
  InlineVector<const Tensor*, 12> pointers_;  // few operations take more
};

namespace detail {

/// The kernel of an elementwise operation: out[i] = f(in[0][i], in[1][i], …) for i < n, where
/// operand k advances by step[k], 1 or 0, and may be null if the formula does not use it.
using ElementwiseRun = void (*)(const void* formula, const void* const* in,
                                const std::int64_t* step, void* out, std::int64_t n);

/// How an operation is computed element by element: for each operand of `run` the input that it
/// is, or -1 for none; others: internal/pass.hpp. With `expands`, the result is one input repeated;
/// with `adds_up`, one number, which is the sum of all elements as kernels::Sum adds them.
struct Pass {
  ElementwiseRun run = nullptr;
  const void* formula = nullptr;
  InlineVector<int, 10> operands{};
  bool expands = false, adds_up = false;
};

/// One computation that can run again on other elements: from inputs to outputs whose shapes and
/// dtypes stay the same.
class Instruction {
 public:
  virtual ~Instruction() = default;
  virtual std::string_view name() const = 0;
  virtual void visit_attributes(AttributeVisitor&) const {}
  virtual void run(const Inputs& in, std::span<Tensor> out) const = 0;
  virtual Pass pass(const Inputs&, const Tensor&) const { return {}; }
  /// Does more than to fill its outputs: runs even if nobody uses them, and in its order.
  virtual bool has_effect() const { return false; }
  /// May throw because of elements: runs even if nobody uses its outputs.
  virtual bool checks() const { return true; }
  /// Inputs from this one on are written in place.
  virtual std::size_t first_written() const { return static_cast<std::size_t>(-1); }
  /// A call of its own on other inputs, which is recorded where it should be; what is no operation
  /// of the tape fills new tensors like `out`.
  virtual TensorList again(const Inputs& in, std::span<const Tensor> out) const = 0;
  /// All samples of a `vmap` in one call; nothing where the operation has no rule for it.
  virtual TensorList batched(const internal::Batch&) const { return {}; }

  static void* operator new(std::size_t n) { return pool_allocate(n); }
  static void operator delete(void* p, std::size_t n) { pool_deallocate(p, n); }
};

/// Runs an instruction and appends it to the recording of this thread.
void trace(std::unique_ptr<Instruction> instruction, const Inputs& in, std::span<Tensor> out);

/// Elements that the program makes while a recording is on, and that no instruction writes.
void trace_created(const Tensor& t);
/// Another handle of the elements of a tensor.
void trace_view(const Tensor& view, const Tensor& of);
/// `refuse_in_trace` for a change of a tensor (named `what`) that was there before the recording.
void refuse_outside_in_trace(const TensorImpl& t, std::string_view what);
/// Something other than the elements has changed of the tensor that owns `storage`: recordings that
/// use it are not valid any more.
void trace_invalidate(const Storage& storage) noexcept;
void trace_leaf_made(Node& leaf);
/// A call is recorded on the tape. Throws where an input is the result of an operation that was
/// recorded before.
void trace_edges(const Node& node, const Inputs& inputs, std::span<const Tensor> outputs);
/// Throws where the gradient of `t` is that of an argument, but `t` is not the argument: another
/// call may come with another tensor.
void trace_leaf(const TensorImpl& t);
// The gradient that a node keeps is looked at, or only added to; has been replaced.
void trace_gradient_read(Node& node, bool adds);
void trace_gradient_changed(Node& node);

/// New elements of the kind of those of `t`.
Tensor empty_as(std::string_view op, const Tensor& t);
inline TensorList listed(Tensor t) { return {std::move(t)}; }
template <std::size_t N>
TensorList listed(const std::array<Tensor, N>& tensors) {
  return TensorList(tensors.begin(), tensors.end());
}

template <class Op>
class OperationInstruction final : public Instruction {
 public:
  explicit OperationInstruction(const Op& op) : op_(op) {}
  std::string_view name() const override { return op_.name(); }
  void visit_attributes(AttributeVisitor& visitor) const override {
    visit_attributes_of(op_, op_.name(), visitor);
  }
  void run(const Inputs& in, std::span<Tensor> out) const override {
    if constexpr (requires { op_.forward(in, out); })
      op_.forward(in, out);
    else
      op_.forward(in, out[0]);
  }
  Pass pass(const Inputs& in, const Tensor& out) const override {
    if constexpr (requires { op_.pass(in, out); })
      return op_.pass(in, out);
    else
      return {};
  }
  bool has_effect() const override {
    return requires { Op::kHasEffect; };
  }
  bool checks() const override {
    return !requires { Op::kTotal; };
  }
  TensorList again(const Inputs& in, std::span<const Tensor> out) const override {
    if constexpr (requires { apply(op_, in); }) {  // of operation.hpp
      return listed(apply(op_, in));
    } else {
      TensorList made;
      for (const Tensor& t : out) made.push_back(empty_as(op_.name(), t));
      const std::span<Tensor> all(made.data(), made.size());
      if constexpr (requires { op_.forward(in, all); })
        compute(op_, in, all);
      else
        compute(op_, in, made[0]);
      return made;
    }
  }
  TensorList batched(const internal::Batch& batch) const override {
    if constexpr (requires { op_.batch(batch); })
      return op_.batch(batch);
    else
      return {};
  }

 private:
  Op op_;
};
}  // namespace detail

/// Fills `out` by `op.forward`, without recording it on the tape: what a gradient computes with a
/// kernel of its own goes through here, so that `compile()` can run it again. `op` has `name()` and
/// `forward()`; for elementwise ones also `pass()`, see `detail::Pass`.
template <class Op>
void compute(const Op& op, const Inputs& in, Tensor& out) {
  if (!detail::tracing) [[likely]]
    return op.forward(in, out);
  detail::trace(std::make_unique<detail::OperationInstruction<Op>>(op), in, {&out, 1});
}
/// The same for an operation with several outputs, `forward(const Inputs&, std::span<Tensor>)`.
template <class Op>
void compute(const Op& op, const Inputs& in, std::span<Tensor> out) {
  if (!detail::tracing) [[likely]]
    return op.forward(in, out);
  detail::trace(std::make_unique<detail::OperationInstruction<Op>>(op), in, out);
}
/// compute() into `out` from these inputs.
template <class Op, std::same_as<Tensor>... T>
void compute_into(Tensor& out, const Op& op, const T&... in) {
  const std::array<const Tensor*, sizeof...(T)> pointers{&in...};
  compute(op, Inputs(pointers), out);
}

namespace detail {
template <class F>
class ActionInstruction final : public Instruction {
 public:
  ActionInstruction(std::string name, std::size_t reads, const F& action)
      : name_(std::move(name)), reads_(reads), action_(action) {}
  std::string_view name() const override { return name_; }
  void visit_attributes(AttributeVisitor& visitor) const override {
    if constexpr (ListsMembers<F, MemberLister>) visit_attributes_of(action_, name_, visitor);
  }
  void run(const Inputs& in, std::span<Tensor>) const override {
    const auto [reads, writes] = split(in);
    action_(reads, writes);
  }
  TensorList again(const Inputs& in, std::span<const Tensor>) const override {
    const auto [reads, writes] = split(in);
    perform(name_, reads, writes, action_);
    return {};
  }
  bool has_effect() const override { return true; }
  std::size_t first_written() const override { return reads_; }

 private:
  std::pair<TensorList, TensorList> split(const Inputs& in) const {
    std::pair<TensorList, TensorList> lists;
    for (std::size_t i = 0; i < in.size(); ++i)
      (i < reads_ ? lists.first : lists.second).push_back(in[i]);
    return lists;
  }

  std::string name_;
  std::size_t reads_;
  F action_;
};
}  // namespace detail

/// Changes tensors in place by `action(reads, writes)`, which gets the elements to read and to
/// write; and does so again whenever a function that `compile()` made runs again. What the action
/// uses besides must live as long as that function.
template <class F>
void perform(std::string_view name, const TensorList& reads, const TensorList& writes,
             const F& action) {
  if (!detail::tracing) [[likely]]
    return action(reads, writes);
  InputList in(reads);
  in.add(writes);
  detail::trace(
      std::make_unique<detail::ActionInstruction<F>>(std::string(name), reads.size(), action), in,
      {});
}

}  // namespace autograd

#pragma GCC visibility pop
