#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autograd/grad_mode.hpp"
#include "autograd/tensor.hpp"
#include "autograd/trace.hpp"

namespace autograd {

// ---------------------------------------------------------------- nodes

struct TensorSpec {
  Shape shape;
  DType dtype;
};

/// A value kept for the backward walk, with a stamp of its elements. Knows the one case in which a
/// handle would point back at its own node (a saved output) and keeps only the elements then.
class SavedTensor {
 public:
  SavedTensor() = default;
  /// An input of the recorded call.
  explicit SavedTensor(const Tensor& input) : value_(input), stamp_(input.impl()->stamp()) {}
  /// Output number `index` of the recorded call.
  static SavedTensor output(const Tensor& output, std::uint32_t index);
  bool empty() const noexcept { return !value_.defined(); }
  /// The elements. Throws if they were changed.
  const Tensor& value(const Node& owner) const {
    if (!value_.defined() || value_.impl()->stamp() != stamp_) refuse(owner);
    return value_;
  }
  /// The value with its place on the tape (an output gets it back from `owner`). Throws likewise.
  Tensor unpack(const Node& owner) const;
  const Tensor& unchecked() const noexcept { return value_; }

 private:
  [[noreturn]] void refuse(const Node& owner) const;
  Tensor value_;
  std::uint32_t stamp_ = 0;
  std::uint32_t index_ : 31 = 0;
  std::uint32_t is_output_ : 1 = false;
};

class Walk;

/// An input of a node: the place on the tape to which its gradient goes, and its value if the
/// operation saved it. A saved value keeps its own place alive, so only other edges count it.
class Edge {
 public:
  Edge() = default;
  inline Edge(const Tensor& input, bool save);
  Edge(Edge&& o) noexcept
      : node_(std::exchange(o.node_, nullptr)),
        saved_(std::move(o.saved_)),
        place_(std::exchange(o.place_, 0)) {}
  Edge& operator=(Edge&& o) = delete;
  ~Edge() {
    if (is_counted()) release(node_);
  }

  /// The node that made the value, or its leaf node; null if no gradient goes there.
  Node* node() const noexcept { return node_; }
  /// Which output of that node the value is.
  std::uint32_t index() const noexcept { return place_ & ~kCounted; }
  /// Empty if the operation did not save the value, or has released it.
  const SavedTensor& saved() const noexcept { return saved_; }

  /// Leads to another place from now on.
  void redirect(const Tensor& target);
  /// Lets go of the saved value. A leaf's stays, which frees no memory sooner.
  void release_saved();
  /// No other reference leads to the node.
  inline bool is_only_way() const noexcept;
  /// The walk under way wants a gradient along here.
  bool wanted() const noexcept { return slot_ != kNoSlot; }

 private:
  friend class Walk;
  friend class Node;
  static constexpr std::uint32_t kNoSlot = ~std::uint32_t{0}, kCounted = std::uint32_t{1} << 31;
  bool is_counted() const noexcept { return (place_ & kCounted) != 0; }
  Node* node_ = nullptr;
  SavedTensor saved_;
  std::uint32_t place_ = 0;       // index(), and kCounted if this holds a reference to the node
  std::uint32_t slot_ = kNoSlot;  // of the node in the walk under way
};

namespace internal {
class Capture;
}
namespace replay {
class Recorder;
class Program;
}

namespace detail {
// What anomaly mode remembers of a recorded call: its inputs' ranges and its place.
struct CallRecord;
struct DeleteCallRecord {
  void operator()(CallRecord* record) const noexcept;
};
}  // namespace detail

/// One recorded operation. Counted, so that a graph lives as long as something can still walk it.
class Node : public detail::Counted {
 public:
  virtual ~Node() = default;
  virtual std::string_view name() const = 0;
  /// Gradients for the inputs, one each (undefined: zero, or not needed), from the cotangents of
  /// the outputs (undefined: zero). It may take the cotangents' buffers.
  virtual TensorList backward(TensorList& cotangents) = 0;
  /// Drops what the node saved besides inputs.
  virtual void release_saved() {}
  /// The values that it saved, inputs first, for inspection.
  virtual TensorList saved() const;
  /// The output, where it was saved; otherwise undefined.
  virtual Tensor saved_output() const { return {}; }
  /// The gradient that backward left with output i; undefined if it left none.
  Tensor kept_grad(std::uint32_t i) const;
  bool is_leaf() const noexcept { return kind_ == Kind::leaf; }

  /// True if a gradient can flow to input i of this call.
  bool needs(std::size_t i) const { return edges_[i].wanted(); }
  /// Shape of input i; only where needs(i).
  const Shape& input_shape(std::size_t i) const {
    return edges_[i].node()->outputs_[edges_[i].index()].shape;
  }
  /// For the `backward` of a walk: the sum of the gradients that other operations have given for
  /// input i so far, if this one may add its own in place instead of returning it; otherwise null.
  Tensor* running_total(std::size_t i) const;
  const InlineVector<Edge, 2>& edges() const noexcept { return edges_; }
  const InlineVector<TensorSpec, 1>& outputs() const noexcept { return outputs_; }
  std::uint64_t sequence() const noexcept { return sequence_; }
  bool released() const noexcept { return released_; }

  static void* operator new(std::size_t n) { return detail::pool_allocate(n); }
  static void operator delete(void* p, std::size_t n) { detail::pool_deallocate(p, n); }

 private:
  friend class Walk;
  friend class Tensor;
  friend class internal::Capture;
  friend class replay::Recorder;
  friend class replay::Program;
  friend void release(Node* node) noexcept;
  friend void record(detail::Ref<Node> node, const Inputs& inputs, std::span<Tensor> outputs,
                     unsigned saves);

  struct Hook {
    std::uint64_t id;
    std::shared_ptr<const std::function<Tensor(const Tensor&)>> call;
  };
  // What backward leaves with one output: its gradient, and who wants to see it.
  struct Watch {
    Tensor grad{};
    bool retain = false;
    detail::PooledVector<Hook> hooks{};
  };
  // By output. Counted, because a hook may take them from the node that is being shown to it.
  struct Watches : detail::Counted {
    std::map<std::uint32_t, Watch, std::less<>,
             detail::PoolAllocator<std::pair<const std::uint32_t, Watch>>>
        of;
    static void* operator new(std::size_t n) { return detail::pool_allocate(n); }
    static void operator delete(void* p, std::size_t n) { detail::pool_deallocate(p, n); }
    friend void release(Watches* w) noexcept {
      if (w->drop()) delete w;
    }
  };
  Watch& watch(std::uint32_t output);
  Watch* find_watch(std::uint32_t output) const;

  InlineVector<Edge, 2> edges_;
  InlineVector<TensorSpec, 1> outputs_;
  detail::Ref<Watches> watches_;                                        // none: nobody asked
  std::unique_ptr<detail::CallRecord, detail::DeleteCallRecord> call_;  // in anomaly mode
  std::uint64_t sequence_ = 0;
  Node* next_dead_ = nullptr;
  // Scratch of the walk that has claimed this node (none: null).
  std::atomic<Walk*> walk_{nullptr};
  std::uint32_t slot_ = Edge::kNoSlot;  // none: no gradient must flow here in this walk
  bool leads_on_ = false;               // and from here to an input
  bool released_ = false;

 protected:
  // broadcasting: gradients may have the shape to which the inputs were broadcast.
  enum class Kind : std::uint8_t { operation, broadcasting, leaf };
  Kind kind_ = Kind::operation;
};

inline Edge::Edge(const Tensor& input, bool save)
    : node_(input.impl()->node.get()),
      saved_(save ? SavedTensor(input) : SavedTensor()),
      place_(input.impl()->index) {
  if (!node_ || save) return;
  place_ |= kCounted;
  node_->retain();
}
inline bool Edge::is_only_way() const noexcept {
  return node_->use_count() == 1 && (is_counted() || saved_.unchecked().impl()->use_count() == 1);
}

/// Puts `outputs` on the tape as the results of `node` applied to `inputs`. The one way onto the
/// tape, for built-in and user operations alike. Call it only where `should_record(inputs)`.
/// `saves`: bits of `save_input(i)`. Outputs of int64 and bool stay off the tape.
void record(detail::Ref<Node> node, const Inputs& inputs, std::span<Tensor> outputs,
            unsigned saves = 0);

namespace detail {
/// For results that are not recorded: marks those that would be if recording were on.
inline void mark_unrecorded(const Inputs& inputs, std::span<Tensor> outputs) noexcept {
  bool lost = false;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    lost |= inputs[i].impl()->node || inputs[i].impl()->unrecorded;
  if (lost) [[unlikely]]
    for (Tensor& t : outputs) t.impl()->unrecorded = true;
}
}  // namespace detail

/// Recording is on and some input requires a gradient.
inline bool should_record(const Inputs& inputs) noexcept {
  if (!grad_enabled()) return false;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].impl()->node) return true;
  return false;
}

// ---------------------------------------------------------------- operations

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

/// What an operation's gradient sees of its recorded call.
class Call {
 public:
  /// `outputs`: the saved ones, in their places.
  Call(const Node& node, const SavedTensor* outputs, TensorList& cotangents)
      : node_(node), outputs_(outputs), cotangents_(cotangents) {}
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
///   `name() const` → its name;
///   `infer(const Inputs&) const` → TensorSpec, after validating the inputs, and
///   `forward(const Inputs&, Tensor& out) const`, which fills `out`;
///   for several outputs `static constexpr std::size_t kOutputs`, at most kMostOutputs, `infer` →
///   std::array of that many TensorSpecs and `forward(const Inputs&, std::span<Tensor> out) const`;
///   or instead of both `view(const Inputs&) const` → Tensor that shares storage;
///   `static constexpr bool kBroadcasts = true` where it broadcasts its inputs: gradients may then
///   have the broadcast shape, and are summed to that of their input;
///   `static constexpr bool kTotal = true` where no elements make forward throw, so that a replay
///   may leave out a result that nobody uses; `saves() const` → bits of `save_input(i)` and
///   `save_output(i)` (default: nothing); `backward(const Call&) const` → TensorList, the gradient
///   in tensor operations.
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
  TensorList backward(TensorList& cotangents) override {
    return op_.backward(Call(*this, outputs_.data(), cotangents));
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

namespace detail {
[[noreturn]] void refuse_undefined(std::string_view op, std::size_t input);
}

/// Throws unless every input is defined.
inline void check_defined(std::string_view op, const Inputs& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].defined()) [[unlikely]]
      detail::refuse_undefined(op, i);
}
/// In anomaly mode: throws if `op` made a NaN or Inf.
void check_anomaly(std::string_view op, const Inputs& inputs, std::span<const Tensor> outputs);

namespace detail {
template <class Op>
[[gnu::always_inline]] inline std::array<Tensor, outputs_of<Op>()> computed(const Op& op,
                                                                            const Inputs& in) {
  if constexpr (requires { op.view(in); }) {
    Tensor view = op.view(in);
    if (view.impl() == in[0].impl()) view = view.detach();  // a place of its own on the tape
    return {std::move(view)};
  } else if constexpr (outputs_of<Op>() == 1) {
    const TensorSpec spec = op.infer(in);
    std::array<Tensor, 1> result{empty_for(op.name(), spec.shape, spec.dtype)};
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
    check_anomaly(op.name(), in, out);
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

// ---------------------------------------------------------------- walking

/// Options of `grad`.
struct GradOptions {
  TensorList
      grad_outputs{};  ///< cotangents, one per output; none: every output has one element, and 1
  bool retain_graph = false;  ///< keep saved values, so that the graph can be walked again
  bool create_graph = false;  ///< record the walk (implies retain_graph)
  bool allow_unused =
      false;  ///< an input that the outputs do not depend on gets an undefined tensor
};

/// Gradients of the sum of `outputs` (weighted by grad_outputs) with respect to `inputs`, which may
/// be leaves or intermediate results. Nothing is accumulated into `.grad()`. Calls on several
/// threads, and a call from a hook or a gradient within another, may share leaves and `inputs`;
/// what lies between is walked by one call at a time.
TensorList grad(const TensorList& outputs, const TensorList& inputs,
                const GradOptions& options = {});

/// Accumulates the gradients of several outputs into the leaves in one walk.
void backward(const TensorList& outputs, const TensorList& grad_outputs = {},
              BackwardOptions options = {});

}  // namespace autograd
