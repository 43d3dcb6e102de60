#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <vector>

#include "autograd/tape/internal/anomaly.hpp"
#include "autograd/tape/internal/push.hpp"
#include "autograd/tape/internal/tape.hpp"

namespace autograd {

/// A walk over the tape: back from outputs, or forward from inputs to them.
class Walk {
 public:
  // inputs: null for backward().
  Walk(std::string_view name, const TensorList& outputs, const TensorList* inputs, bool retain,
       bool create)
      : name_(name),
        outputs_(outputs),
        to_inputs_(inputs),
        retain_(retain || create),
        in_place_(!create && !anomaly_mode() && !detail::tracing),
        mode_(create) {
    if (inputs) look_for(*inputs);
  }

  ~Walk() {
    // Inputs come before what uses them, so no node dies before its turn.
    for (Node* n : order_) {
      if (!owns(*n)) continue;
      n->walk_.store(nullptr, std::memory_order_release);
      if (n->released_) n->edges_.clear();
    }
  }

  TensorList run(const TensorList& cotangents) {
    // What a walk records comes after the graph, which another thread may have recorded.
    for (const auto& t : outputs_)
      if (t.impl()->node) internal::continue_after(t.impl()->node->sequence());
    collect();
    cotangents_.resize(order_.size());
    for (std::size_t i = 0; i < outputs_.size(); ++i)
      if (const auto* t = outputs_[i].impl(); t->node)
        if (const std::uint32_t slot = slot_of(*t->node); slot != Edge::kNoSlot)
          add(*t->node, slot, t->index, cotangents[i]);
    for (std::size_t i = order_.size(); i-- > 0;) {
      step(*order_[i], cotangents_[i]);
      cotangents_[i].clear();
    }
    return std::move(found_);
  }

  /// Tangents of the outputs from those of the inputs; undefined: zero. In push.cpp.
  TensorList push(const TensorList& tangents, internal::Record record);

  /// Within the `backward` of a walk: whether values that the node has saved are needed later.
  static bool keeps(const Node& node) {
    const Walk* const walk = node.walk_.load(std::memory_order_relaxed);
    return !walk || walk->retain_;
  }
  Tensor* running_total(const Edge& e) {
    if (!in_place_ || !e.wanted()) return nullptr;
    if (sum_) return sum_->defined() && internal::sole_owner(*sum_) ? sum_ : nullptr;
    if (cotangents_.empty()) return nullptr;
    TensorList& list = cotangents_[e.slot_];
    if (list.empty()) return nullptr;
    Tensor& total = list[e.index()];
    return total.defined() && internal::sole_owner(total) ? &total : nullptr;
  }

 private:
  // A place of which grad() wants the gradient.
  struct Input {
    const Node* node;
    std::uint32_t index;  // which of its outputs
    std::uint32_t at;     // which of the inputs
  };

  void look_for(const TensorList& inputs) {
    found_ = TensorList(inputs.size(), Tensor());
    oldest_ = ~std::uint64_t{0};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const auto* t = inputs[i].impl();
      inputs_.push_back({t->node.get(), t->index, static_cast<std::uint32_t>(i)});
      oldest_ = std::min(oldest_, t->node->sequence());
    }
    if (inputs_.size() > 1)
      std::sort(inputs_.begin(), inputs_.end(),
                [](const Input& a, const Input& b) { return std::less<>()(a.node, b.node); });
  }
  // Where the inputs that are outputs of `node` begin, if there are any.
  const Input* inputs_at(const Node& node) const {
    return std::lower_bound(inputs_.begin(), inputs_.end(), &node,
                            [](const Input& a, const Node* n) { return std::less<>()(a.node, n); });
  }
  bool is_input(const Node& node) const {
    const Input* in = inputs_at(node);
    return in != inputs_.end() && in->node == &node;
  }

  bool owns(const Node& node) const { return node.walk_.load(std::memory_order_relaxed) == this; }
  // Where the cotangents of `node` are gathered; kNoSlot if none must flow there.
  std::uint32_t slot_of(const Node& node) const {
    if (owns(node)) return node.slot_;
    if (shared_.empty()) return Edge::kNoSlot;
    const auto found = shared_.find(&node);
    return found == shared_.end() ? Edge::kNoSlot : found->second;
  }

  struct Frame {
    Node* node;
    std::size_t next;
  };
  // Nodes that are claimed and not finished; those that an error leaves here are given free.
  struct Stack : detail::PooledVector<Frame> {
    Stack() = default;
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;
    ~Stack() {
      for (const Frame& frame : *this) frame.node->walk_.store(nullptr, std::memory_order_release);
    }
  };
  template <class List>
  static void make_room(List& list) {
    if (list.size() == list.capacity()) list.reserve(2 * list.size() + 4);
  }

  // Depth-first, with the stack on the heap; order_ ends with inputs first.
  void collect() {
    Stack stack;
    // is_exclusive(): no other thread can come to the node.
    auto visit = [&](Node* n, auto&& is_exclusive) {
      if (n->sequence() < oldest_) return;
      Walk* other = n->walk_.load(std::memory_order_relaxed);
      if (other == this) return;
      const bool end = n->sequence() == oldest_;
      if (end && (!n->is_leaf() || other || !shared_.empty())) return share(n);
      // Before it is claimed: a node is claimed as long as it stands in one of the lists.
      end ? make_room(order_) : make_room(stack);
      if (!other && is_exclusive())
        n->walk_.store(this, std::memory_order_relaxed);
      else if (other || !n->walk_.compare_exchange_strong(other, this, std::memory_order_acq_rel))
        return end ? share(n) : throw_busy(*n);
      end ? finish(n) : stack.push_back({n, 0});
    };
    for (const auto& t : outputs_) {
      if (t.impl()->node) visit(t.impl()->node.get(), [] { return false; });
      while (!stack.empty()) {
        auto& [node, next] = stack.back();
        if (next == 0 && node->released_) throw_released(*node);
        if (next < node->edges_.size()) {
          const Edge& e = node->edges_[next++];
          if (e.node()) visit(e.node(), [&] { return e.is_only_way(); });
        } else {
          finish(node);
          stack.pop_back();
        }
      }
    }
  }

  // The nodes at the ends of a walk, leaves and the oldest inputs, lead nowhere: walks may share
  // them. The first one that comes to a leaf owns it and notes its slot there, others in a table.
  // What a grad() has for its end may be in the middle of another walk, which may own it.
  void share(Node* end) {
    if (!shared_.emplace(end, Edge::kNoSlot).second) return;
    if (is_goal(*end)) shared_[end] = static_cast<std::uint32_t>(order_.size());
    order_.push_back(end);
  }

  bool is_goal(const Node& node) const { return to_inputs_ ? is_input(node) : node.is_leaf(); }

  void finish(Node* node) {
    bool leads_on = false;
    for (Edge& e : node->edges_) {
      // The node at its end may belong to another walk, the one that called this.
      e.slot_ = e.node() ? slot_of(*e.node()) : Edge::kNoSlot;
      leads_on |= e.wanted();
    }
    node->leads_on_ = leads_on;
    node->slot_ =
        leads_on || is_goal(*node) ? static_cast<std::uint32_t>(order_.size()) : Edge::kNoSlot;
    order_.push_back(node);
  }

  void add(const Node& node, std::uint32_t slot, std::uint32_t index, Tensor g) {
    auto& list = cotangents_[slot];
    if (list.empty()) {
      if (node.outputs_.size() == 1) return list.push_back(std::move(g));
      list.resize(node.outputs_.size());
    }
    internal::accumulate(list[index], std::move(g));
  }

  void step(Node& node, TensorList& cotangents) {
    if (cotangents.empty()) return;
    if (to_inputs_ || node.is_leaf() || node.watches_) show(node, cotangents);
    if (!owns(node) || !node.leads_on_) return;
    TensorList gradients = gradients_of(node, cotangents);
    const std::size_t n = node.edges_.size();
    if (gradients.size() != n)
      fail(node.name(), "backward must return one gradient per input, got {} for {} inputs",
           gradients.size(), n);
    Edge* const edges = node.edges_.data();
    for (std::size_t i = 0; i < n; ++i) {
      const Edge& e = edges[i];
      Tensor& g = gradients[i];
      if (!e.wanted() || !g.defined()) continue;
      const TensorSpec& spec = e.node()->outputs_[e.index()];
      const detail::TensorImpl& t = *g.impl();
      if (t.shape != spec.shape || t.dtype != spec.dtype) [[unlikely]]
        fit(node, i, spec, g);
      add(*e.node(), e.slot_, e.index(), std::move(g));
    }
    if (!retain_) {
      for (std::size_t i = 0; i < n; ++i)
        if (frees_memory(edges[i].saved().unchecked())) edges[i].release_saved();
      node.release_saved();
      node.released_ = true;
    }
  }

  // Of few elements, in the block of their tensor, it waits for the end of the node: it would cost
  // more to let go of it first.
  static bool frees_memory(const Tensor& saved) { return saved.defined() && !saved.impl()->embeds; }

  // A gradient that has not the shape of its input is a mistake, unless the input was broadcast.
  static void fit(const Node& node, std::size_t i, const TensorSpec& spec, Tensor& g) {
    if (node.kind_ == Node::Kind::broadcasting) g = sum_to(g, spec.shape);
    if (g.shape() == spec.shape && g.dtype() == spec.dtype) return;
    internal::check_gradient(fmt::format("{} backward, input {}", node.name(), i), g, spec.shape,
                             spec.dtype);
  }

  TensorList gradients_of(Node& node, TensorList& cotangents) const {
    if (!anomaly_mode()) return node.backward(cotangents);
    // Before the call, for it may take the buffers. What its operations make on the way may be
    // masked out later: the results count.
    const auto before = internal::ranges(cotangents);
    const TensorList result = [&] {
      const AnomalyMode off(false);
      return node.backward(cotangents);
    }();
    internal::check_gradients_anomaly(node, node.call_.get(), before, result);
    return result;
  }

  // Hooks, retained gradients, leaves and the inputs of grad() see a node's whole cotangents.
  void show(Node& node, TensorList& cotangents) {
    bool hooked = false;                            // or may be
    const auto watches = watches_of(node, hooked);  // held: a hook may take them from the node
    if (watches && (hooked || !node.is_leaf()))
      for (const auto& [output, w] : watches->of) {
        if (output >= cotangents.size() || !cotangents[output].defined()) continue;
        Tensor& g = cotangents[output];
        if (hooked) call_hooks(node, watches, w, g);
        if (w.retain && !to_inputs_ && !node.is_leaf()) collect_grad(node, watches, output, g);
      }
    if (to_inputs_) {
      for (auto in = inputs_at(node); in != inputs_.end() && in->node == &node; ++in)
        found_[in->at] = cotangents[in->index];
    } else if (node.is_leaf()) {
      if (detail::tracing) [[unlikely]]
        detail::trace_gradient_read(node, true);
      collect_grad(node, watches, 0, std::move(cotangents[0]));
      if (detail::tracing) [[unlikely]]
        detail::trace_gradient_changed(node);
    }
  }

  static detail::Ref<Node::Watches> watches_of(const Node& node, bool& hooked) {
    const internal::WatchLock lock(node);
    if (!node.watches_) return {};
    const auto& of = node.watches_->of;
    hooked = of.size() > 1 || !of.begin()->second.hooks.empty();
    return node.watches_;
  }
  static detail::PooledVector<Node::Hook> hooks_of(const Node& node, const Node::Watch& w) {
    const internal::WatchLock lock(node);
    return w.hooks;
  }

  static void call_hooks(const Node& node, const detail::Ref<Node::Watches>& watches,
                         const Node::Watch& w, Tensor& g) {
    for (const auto& hook : hooks_of(node, w)) {  // a copy: one may leave
      Tensor replaced = (*hook.call)(g);
      if (replaced.defined()) {
        internal::check_gradient("hook", replaced, g.shape(), g.dtype());
        g = std::move(replaced);
      }
      const internal::WatchLock lock(node);
      if (!(node.watches_ == watches)) return;
    }
  }

  static void collect_grad(Node& node, const detail::Ref<Node::Watches>& watches,
                           std::uint32_t output, Tensor g) {
    using internal::sole_owner;
    Tensor total, gradient;  // what others see too, and what of it ends here, ends after the lock
    const internal::WatchLock lock(node);
    // A leaf that a hook has taken off the tape, or given other elements, has lost its gradient.
    if (watches && !(node.watches_ == watches)) return;
    Node::Watch& w = node.watch(output);
    if (lock.needed()) {
      if (w.grad.defined() && !sole_owner(w.grad)) total = w.grad;
      if (!sole_owner(g)) gradient = g;
    }
    // A gradient that others can see is copied: adding to it later must not change theirs.
    if (!w.grad.defined() && !grad_enabled() && !sole_owner(g)) g = g.clone();
    internal::accumulate(w.grad, std::move(g));
  }

  // ---- push()
  // For a scope, only some inputs of a node want gradients.
  class Only;
  // Of a node's outputs: which are used, and by whom last, as a place in order_.
  struct Use {
    std::uint64_t outputs = 0;
    std::size_t last = 0;
  };
  std::vector<Use> uses() const;
  bool is_needed(const TensorList& tangents) const;
  TensorList pushed(Node& node, TensorList& tangents, const Use& use);
  TensorList by_rule(Node& node, TensorList& tangents, const Use& use);
  TensorList by_gradient(Node& node, TensorList& tangents);
  static TensorList by_reduction(Node& node, const TensorList& tangents);
  TensorList by_itself(Node& node, const TensorList& tangents);
  TensorList by_transposing(Node& node, const TensorList& tangents, const Use& use);

  [[noreturn]] void throw_released(const Node& n) const {
    fail(name_,
         "the graph must be whole, but an earlier walk released it (at '{}'); pass "
         "{{.retain_graph = true}} to the earlier call",
         n.name());
  }
  [[noreturn]] void throw_busy(const Node& n) const {
    fail(name_,
         "a graph is walked by one call at a time, got one (at '{}') in use by another thread or "
         "by the backward that called this; compute it again for each walk (they may share leaves)",
         n.name());
  }

  std::string_view name_;
  TensorList outputs_;
  bool to_inputs_;  // a grad()
  bool retain_;
  bool in_place_;  // operations may add to the gradients of others
  GradMode mode_;
  InlineVector<Input, 3> inputs_;                // by node
  std::uint64_t oldest_ = 0;                     // nothing older can lead to an input
  detail::PooledVector<Node*> order_;            // what is walked, inputs before what uses them
  detail::PooledVector<TensorList> cotangents_;  // of each, one per output; undefined: zero
  TensorList found_;
  Tensor* sum_ = nullptr;  // of tangents, to which gradients may add their own
  // Ends that are not this walk's own, with their slots.
  std::unordered_map<const Node*, std::uint32_t, std::hash<const Node*>, std::equal_to<>,
                     detail::PoolAllocator<std::pair<const Node* const, std::uint32_t>>>
      shared_;
};

}  // namespace autograd
