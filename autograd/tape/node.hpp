#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "autograd/core/tensor.hpp"
#include "autograd/core/trace.hpp"
#include "autograd/tape/grad_mode.hpp"

#pragma GCC visibility push(default)

/// The tape: nodes, one for each recorded operation, and the edges between them.
namespace autograd {

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
class [[gnu::visibility("hidden")]] Capture;
}
namespace replay {
class [[gnu::visibility("hidden")]] Recorder;
class [[gnu::visibility("hidden")]] Program;
}

namespace detail {
// What anomaly mode remembers of a recorded call: its inputs' ranges and its place.
struct CallRecord;
struct DeleteCallRecord {
  void operator()(CallRecord* record) const noexcept;
};
}  // namespace detail

/// What the Jacobian of an operation is like: from that, `jvp` and its kin find tangents of results
/// without a formula of their own.
enum class Jacobian : std::uint8_t {
  any,          ///< its gradient, transposed, gives the tangent: always right, and slower
  diagonal,     ///< elementwise, inputs broadcast: its gradient for an input, of that one's tangent
  reducing,     ///< of one input, some axes of which become 1: its gradient of 1, times the tangent
  symmetric,    ///< of its first input, the only one with a gradient: its gradient, of the tangent
  linear,       ///< linear in all floating inputs together: the operation itself, of their tangents
  multilinear,  ///< linear in each floating input: itself, with one tangent in place of its input
  own,          ///< it has a rule of its own
};

/// One recorded operation. Counted, so that a graph lives as long as something can still walk it.
class Node : public detail::Counted {
 public:
  virtual ~Node() = default;
  virtual std::string_view name() const = 0;
  /// Shows the attributes of the operation.
  virtual void visit_attributes(AttributeVisitor&) const {}
  /// Gradients for the inputs, one each (undefined: zero, or not needed), from the cotangents of
  /// the outputs (undefined: zero). It may take the cotangents' buffers.
  virtual TensorList backward(TensorList& cotangents) = 0;
  /// Drops what the node saved besides inputs.
  virtual void release_saved() {}
  /// The values that it saved, inputs first, for inspection.
  virtual TensorList saved() const;
  /// The output, where it was saved; otherwise undefined.
  virtual Tensor saved_output() const { return {}; }
  virtual Jacobian jacobian() const { return Jacobian::any; }
  /// Where the Jacobian is `own`: tangents of the outputs (undefined: zero) from those of the inputs
  /// (undefined: zero, or none).
  virtual TensorList jvp(TensorList& /*tangents*/) { return {}; }
  /// Where it is linear or multilinear: the outputs for other inputs, of the same shapes.
  virtual TensorList again(const Inputs&) const { return {}; }
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

}  // namespace autograd

#pragma GCC visibility pop
