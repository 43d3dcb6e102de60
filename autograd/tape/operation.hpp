#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "autograd/tape/node.hpp"

#pragma GCC visibility push(default)

/// Operations, built-in and user-made: what they are, and how one is applied.
namespace autograd {

// Bits of what an operation saves: inputs from the lowest on, outputs from the highest down.
inline constexpr unsigned kMostOutputs = 4, kMostSavedInputs = 32 - kMostOutputs;
constexpr unsigned save_input(unsigned i) {
  if (i >= kMostSavedInputs)
    fail("save_input", "the input must be one of the first {}, got {}", kMostSavedInputs, i);
  return 1u << i;
}
constexpr unsigned save_output(unsigned i) {
  if (i >= kMostOutputs)
    fail("save_output", "the output must be one of the first {}, got {}", kMostOutputs, i);
  return 1u << (31 - i);
}
inline constexpr unsigned kSaveOutput = save_output(0);

/// What an operation's gradient sees of its recorded call; valid during the call of `backward`, or
/// of `jvp`.
class Call {
 public:
  /// `outputs`: the saved ones, in their places. For `jvp` tangents in place of cotangents.
  Call(const Node& node, const SavedTensor* outputs, TensorList& cotangents)
      : node_(node), outputs_(outputs), cotangents_(cotangents) {}
  /// In `jvp`: the tangent of input i; undefined where it is zero.
  const Tensor& tangent(std::size_t i) const { return cotangents_[i]; }
  /// The cotangent of output i; undefined where it is zero, which the only output's never is.
  const Tensor& grad(std::size_t i = 0) const { return cotangents_[i]; }
  /// The same, given away: its buffer may be reused if nobody else holds it.
  Tensor take_grad() const { return std::move(cotangents_[0]); }
  bool needs(std::size_t i) const { return node_.needs(i); }
  /// A saved input or output.
  Tensor input(std::size_t i) const { return node_.edges()[i].saved().unpack(node_); }
  Tensor output(std::size_t i = 0) const { return outputs_[i].unpack(node_); }
  /// The same without their history, for kernels.
  const Tensor& input_value(std::size_t i) const { return node_.edges()[i].saved().value(node_); }
  const Tensor& output_value(std::size_t i = 0) const { return outputs_[i].value(node_); }
  const Shape& input_shape(std::size_t i) const { return node_.input_shape(i); }
  /// See `Node::running_total`.
  Tensor* running_total(std::size_t i) const { return node_.running_total(i); }
  const TensorSpec& output_spec(std::size_t i = 0) const { return node_.outputs()[i]; }
  std::size_t inputs() const { return node_.edges().size(); }

 private:
  const Node& node_;
  const SavedTensor* outputs_;
  TensorList& cotangents_;
};

/// An operation: a struct whose members are its attributes, with
///   `XGRAD_ATTRIBUTES(axis, keepdims)`, which lists them all, so that drawings, errors and
///   recorded steps show them (optional; see attributes.hpp); `name() const` → its name;
///   `infer(const Inputs&) const` → TensorSpec, after validating the inputs, and
///   `forward(const Inputs&, Tensor& out) const`, which fills `out`;
///   for several outputs `static constexpr std::size_t kOutputs`, at most kMostOutputs, `infer` →
///   std::array of that many TensorSpecs and `forward(const Inputs&, std::span<Tensor> out) const`;
///   or instead of both `view(const Inputs&) const` → Tensor that shares storage;
///   `make(const Inputs&) const` → Tensor, where that is found sooner than by `infer`: the result,
///   not filled, of which it has checked the inputs;
///   `static constexpr bool kBroadcasts = true` where it broadcasts its inputs: gradients may then
///   have the broadcast shape, and are summed to that of their input;
///   `static constexpr bool kTotal = true` where no elements make forward throw, so that a replay
///   may leave out a result that nobody uses; `saves() const` → bits of `save_input(i)` and
///   `save_output(i)` (default: nothing); `backward(const Call&) const` → TensorList, the gradient
///   in tensor operations; `jacobian() const` → Jacobian, where more is known of it than that
///   gradient, or `jvp(const Call&) const` → TensorList, the tangents of the outputs in tensor
///   operations (undefined: zero) from `call.tangent(i)` and what was saved; or both: jvp may give {}.
/// Without `backward` the operation is not differentiable and never recorded. `forward` may run
/// again later on other elements of the same shapes (see `compile`): what it depends on are its
/// attributes and inputs, and elements are checked in it, not in `infer`.
template <class Op>
concept Operation = requires(const Op& op, const Inputs& in) {
  { op.name() } -> std::convertible_to<std::string_view>;
}
&&(
    requires(const Op& op, const Inputs& in, Tensor& out) {
      { op.infer(in) } -> std::convertible_to<TensorSpec>;
      op.forward(in, out);
    } ||
    requires(const Op& op, const Inputs& in, std::span<Tensor> out) {
      requires(Op::kOutputs >= 1 && Op::kOutputs <= kMostOutputs);
      { op.infer(in) } -> std::convertible_to<std::array<TensorSpec, Op::kOutputs>>;
      op.forward(in, out);
    } ||
    requires(const Op& op, const Inputs& in) {
      { op.view(in) } -> std::convertible_to<Tensor>;
    });

template <class Op>
concept Differentiable = requires(const Op& op, const Call& call) {
  { op.backward(call) } -> std::convertible_to<TensorList>;
};

namespace detail {
template <class Op>
constexpr std::size_t outputs_of() {
  if constexpr (requires { Op::kOutputs; })
    return Op::kOutputs;
  else
    return 1;
}
}  // namespace detail

template <class Op>
class OperationNode final : public Node {
 public:
  OperationNode(const Op& op, std::span<const Tensor> out) : op_(op) {
    if constexpr (requires { requires Op::kBroadcasts; }) kind_ = Kind::broadcasting;
    for (unsigned i = 0; i < detail::outputs_of<Op>(); ++i)
      if (saves_of(op) & save_output(i)) outputs_[i] = SavedTensor::output(out[i], i);
  }
  static unsigned saves_of(const Op& op) {
    if constexpr (requires { op.saves(); })
      return op.saves();
    else
      return 0;
  }
  std::string_view name() const override { return op_.name(); }
  void visit_attributes(AttributeVisitor& visitor) const override {
    detail::visit_attributes_of(op_, op_.name(), visitor);
  }
  TensorList backward(TensorList& cotangents) override {
    return op_.backward(Call(*this, outputs_.data(), cotangents));
  }
  Jacobian jacobian() const override {
    if constexpr (requires { op_.jacobian(); })
      return op_.jacobian();
    else if constexpr (requires(const Call& call) { op_.jvp(call); })
      return Jacobian::own;
    else
      return Jacobian::any;
  }
  TensorList jvp(TensorList& tangents) override {
    if constexpr (requires(const Call& call) { op_.jvp(call); })
      return op_.jvp(Call(*this, outputs_.data(), tangents));
    else
      return {};
  }
  TensorList again(const Inputs& in) const override {
    if constexpr (requires { op_.jacobian(); })
      return detail::listed(apply(op_, in));
    else
      return {};
  }
  void release_saved() override {
    for (SavedTensor& s : outputs_) s = {};
  }
  TensorList saved() const override {
    TensorList list = Node::saved();
    for (const SavedTensor& s : outputs_)
      if (!s.empty()) list.push_back(s.unchecked());
    return list;
  }
  Tensor saved_output() const override { return outputs_[0].unchecked(); }

 private:
  Op op_;
  std::array<SavedTensor, detail::outputs_of<Op>()> outputs_;
};

/// Throws unless every input is defined.
inline void check_defined(std::string_view op, const Inputs& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].defined()) [[unlikely]]
      detail::refuse_undefined(op, i);
}
/// In anomaly mode: throws if `op` made a NaN or Inf. `attributes` shows those of the operation.
void check_anomaly(std::string_view op, const Inputs& inputs, std::span<const Tensor> outputs,
                   const std::function<void(AttributeVisitor&)>& attributes = {});

namespace detail {
template <class Op>
Tensor made(const Op& op, const Inputs& in) {
  if constexpr (requires { op.make(in); }) {
    return op.make(in);
  } else {
    const TensorSpec spec = op.infer(in);
    return empty_for(op.name(), spec.shape, spec.dtype);
  }
}
template <class Op>
[[gnu::always_inline]] inline std::array<Tensor, outputs_of<Op>()> computed(const Op& op,
                                                                            const Inputs& in) {
  if constexpr (requires { op.view(in); }) {
    Tensor view = op.view(in);
    if (view.impl() == in[0].impl()) view = view.detach();  // a place of its own on the tape
    return {std::move(view)};
  } else if constexpr (outputs_of<Op>() == 1) {
    std::array<Tensor, 1> result{made(op, in)};
    compute(op, in, result[0]);
    return result;
  } else {
    const std::array<TensorSpec, Op::kOutputs> specs = op.infer(in);
    std::array<Tensor, Op::kOutputs> result;
    for (std::size_t i = 0; i < specs.size(); ++i)
      result[i] = empty_for(op.name(), specs[i].shape, specs[i].dtype);
    compute(op, in, std::span<Tensor>(result));
    return result;
  }
}
}  // namespace detail

/// Runs an operation and records it where it should be. Everything in ops.hpp goes through here,
/// and so may a user's operation. Returns its result, a std::array of them if it has several.
template <Operation Op>
auto apply(const Op& op, const Inputs& in) {
  check_defined(op.name(), in);
  std::array<Tensor, detail::outputs_of<Op>()> out = detail::computed(op, in);
  if (anomaly_mode()) [[unlikely]]
    check_anomaly(op.name(), in, out, [&](AttributeVisitor& visitor) {
      detail::visit_attributes_of(op, op.name(), visitor);
    });
  if constexpr (Differentiable<Op>) {
    if (should_record(in))
      record(detail::Ref<Node>::adopt(new OperationNode<Op>(op, out)), in, out,
             OperationNode<Op>::saves_of(op));
    else
      detail::mark_unrecorded(in, out);
  }
  if constexpr (detail::outputs_of<Op>() == 1)
    return std::move(out[0]);
  else
    return out;
}
template <Operation Op, std::derived_from<Tensor>... T>
auto apply(const Op& op, const T&... in) {
  const std::array<const Tensor*, sizeof...(T)> pointers{&in...};
  return apply(op, Inputs(pointers));
}

/// The gradient of an operation from an unfused formula for it: runs `reference` on the saved
/// inputs of `call` in tensor operations, recorded, and differentiates that. Exact to any order.
/// The operation must save all of its inputs.
TensorList reference_gradient(const Call& call,
                              const std::function<Tensor(const TensorList&)>& reference);

}  // namespace autograd

#pragma GCC visibility pop
