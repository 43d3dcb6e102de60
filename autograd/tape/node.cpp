#include "autograd/tape/operation.hpp"

#include <algorithm>
#include <atomic>

#include "autograd/tape/internal/anomaly.hpp"
#include "autograd/tape/internal/capture_off.hpp"

namespace autograd {
namespace {

struct ThreadState {
  bool burying = false;
  internal::Capture* capture = nullptr;
  Node* dead = nullptr;
  std::uint64_t sequence = 0;
};
thread_local ThreadState state;

// The place on the tape of a tensor that requires a gradient and that no operation made.
class LeafNode final : public Node {
 public:
  LeafNode() { kind_ = Kind::leaf; }
  std::string_view name() const override { return "leaf"; }
  TensorList backward(TensorList&) override { return {}; }
};

}  // namespace

constinit thread_local bool detail::recording = true, detail::anomaly = false;

// ---------------------------------------------------------------- recording

std::string_view internal::why_unrecorded(const Tensor& t) {
  return t.impl()->unrecorded
             ? "; it was computed from what requires one while recording was off (NoGrad)"
             : "";
}

void record(detail::Ref<Node> holder, const Inputs& inputs, std::span<Tensor> outputs,
            unsigned saves) {
  Node& node = *holder;
  std::uint64_t latest = state.sequence;
  unsigned saved = saves & (save_output(kMostOutputs - 1) - 1);  // from the next input on
  node.edges_.append(inputs.size(), [&](std::size_t i) {
    const Tensor& input = inputs[i];
    if (const Node* from = input.impl()->node.get()) latest = std::max(latest, from->sequence_);
    const bool save = (saved & 1) != 0;
    saved >>= 1;
    return Edge(input, save);
  });
  if (anomaly_mode() || state.capture || detail::tracing) [[unlikely]] {
    if (detail::tracing) detail::trace_edges(node, inputs, outputs);
    if (anomaly_mode()) node.call_.reset(internal::record_call(inputs));
    if (state.capture) latest = std::max(latest, state.capture->redirect(node, inputs));
  }
  node.sequence_ = state.sequence = latest + 1;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    detail::TensorImpl& t = *outputs[i].impl();
    node.outputs_.emplace_back(t.shape, t.dtype);
    if (!is_floating(t.dtype)) continue;  // indices, say: no gradient goes there
    t.index = static_cast<std::uint32_t>(i);
    t.node = i + 1 < outputs.size() ? holder : std::exchange(holder, {});
  }
}

std::uint64_t internal::last_sequence() noexcept { return state.sequence; }

void internal::continue_after(std::uint64_t sequence) noexcept {
  state.sequence = std::max(state.sequence, sequence);
}

Tensor internal::Capture::alias(const Tensor& original) { return aliases_[place_of(original)]; }

std::size_t internal::Capture::place_of(const Tensor& original) {
  const Place place(original.impl()->node.get(), original.impl()->index);
  if (const auto found = known_.find(place); found != known_.end()) return found->second;
  const Tensor a = internal::alias(original);
  known_.emplace(place, aliases_.size());
  alias_nodes_.insert(a.impl()->node.get());
  originals_.push_back(original);
  aliases_.push_back(a);
  is_used_.push_back(false);
  return aliases_.size() - 1;
}

std::size_t internal::Capture::holders(const Tensor& original) {
  std::ptrdiff_t n = 0;
  for (const Capture* c = state.capture; c; c = c->outer_)
    n += std::ranges::count_if(c->originals_, [&](const Tensor& t) { return t.is(original); });
  return static_cast<std::size_t>(n);
}

internal::Capture* internal::Capture::exchange(Capture* capture) noexcept {
  return std::exchange(state.capture, capture);
}

internal::Capture::Scope::Scope(Capture& capture) : previous_(state.capture) {
  capture.outer_ = previous_;
  state.capture = &capture;
}
internal::Capture::Scope::~Scope() { state.capture = previous_; }

internal::CaptureOff::CaptureOff() noexcept : previous_(std::exchange(state.capture, nullptr)) {}
internal::CaptureOff::~CaptureOff() { state.capture = previous_; }

std::uint64_t internal::Capture::redirect(Node& node, const Inputs& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (node.edges_[i].node()) node.edges_[i].redirect(target(inputs[i]));
  add(&node);
  return state.sequence;
}

Tensor internal::Capture::target(const Tensor& input) {
  const auto* t = input.impl();
  if (own_.contains(t->node.get()) || alias_nodes_.contains(t->node.get())) return input;
  // The alias itself belongs to the scope around this one.
  state.capture = outer_;
  const std::size_t place = place_of(input);
  state.capture = this;
  if (!is_used_[place]) uses_.push_back(place);
  is_used_[place] = true;
  return aliases_[place];
}

void internal::Capture::add(const Node* node) {
  own_.insert(node);
  if (outer_) outer_->add(node);
}

// A node's death may kill the nodes before it. They wait in a list instead of on the stack, so that
// a graph of any depth dies in constant stack.
void release(Node* node) noexcept {
  if (!node->drop()) return;
  node->next_dead_ = std::exchange(state.dead, node);
  if (state.burying) return;
  state.burying = true;
  while (Node* n = state.dead) {
    state.dead = n->next_dead_;
    delete n;
  }
  state.burying = false;
}

TensorList Node::saved() const {
  TensorList list;
  for (const Edge& e : edges_)
    if (!e.saved().empty()) list.push_back(e.saved().unchecked());
  return list;
}

void Edge::redirect(const Tensor& target) {
  if (Node* const before = std::exchange(node_, target.impl()->node.get()); is_counted())
    release(before);
  node_->retain();
  place_ = target.impl()->index | kCounted;
}

void Edge::release_saved() {
  if (saved_.empty()) return;
  if (node_ && !is_counted()) {
    detail::TensorImpl& t = *saved_.unchecked().impl();
    if (t.use_count() == 1 && t.node.get() == node_)
      (void)t.node.detach();
    else if (node_->is_leaf())
      return;
    else
      node_->retain();
    place_ |= kCounted;
  }
  saved_ = {};
}

SavedTensor SavedTensor::output(const Tensor& output, std::uint32_t index) {
  SavedTensor s(output.detach());
  s.is_output_ = true;
  s.index_ = index;
  return s;
}

void SavedTensor::refuse(const Node& owner) const {
  if (!value_.defined())
    fail("backward", "saved values of '{}' must be there, but were not saved or were released",
         quoted(owner.name()));
  fail("backward",
       "values saved by '{}' must not change before the walk, got version {} of its {} ({}), saved "
       "at version {}; clone() before changing it, or read it with std::as_const(t).array<T>()",
       quoted(owner.name()), value_.impl()->stamp(), is_output_ ? "output" : "input",
       value_.shape(), stamp_);
}

Tensor SavedTensor::unpack(const Node& owner) const {
  value(owner);
  if (!is_output_ || !grad_enabled() || !is_floating(value_.dtype())) return value_;
  Tensor t = value_.detach();
  t.impl()->node = detail::Ref<Node>(const_cast<Node*>(&owner));
  t.impl()->index = index_;
  return t;
}

// ---------------------------------------------------------------- a tensor's place on the tape

constinit internal::WatchLock::Flag internal::WatchLock::flags_[64];

Node::Watch& Node::watch(std::uint32_t output) {
  if (Watch* const found = find_watch(output)) return *found;
  if (watches_) return watches_->of[output];
  auto fresh = detail::Ref<Watches>::adopt(new Watches);
  Watch& first = fresh->of[output];
  watches_ = std::move(fresh);  // never empty
  return first;
}

Node::Watch* Node::find_watch(std::uint32_t output) const {
  if (!watches_) return nullptr;
  auto& of = watches_->of;
  if (of.begin()->first == output) return &of.begin()->second;  // most nodes have one output
  const auto found = of.find(output);
  return found == of.end() ? nullptr : &found->second;
}

Tensor Node::kept_grad(std::uint32_t i) const {
  const internal::WatchLock lock(*this);
  const Watch* w = find_watch(i);
  return w ? w->grad : Tensor();
}

bool Tensor::is_leaf() const {
  const auto& node = asked("is_leaf").node;
  return !node || node->is_leaf();
}

std::string_view Tensor::op_name() const {
  const auto& node = asked("op_name").node;
  return !node || node->is_leaf() ? "" : node->name();
}

Tensor Tensor::requires_grad_(bool on) {
  auto& node = const_cast<detail::TensorImpl&>(checked("requires_grad_")).node;
  if (!is_floating(impl_->dtype) && on)
    fail("requires_grad_", "only float32 and float64 tensors have gradients, got {}",
         name(impl_->dtype));
  if (!on && !is_leaf())
    fail("requires_grad_", "only a leaf can leave the tape, got the result of '{}'; use detach()",
         quoted(op_name()));
  if (on == static_cast<bool>(node)) return *this;
  if (detail::tracing) [[unlikely]]
    detail::refuse_outside_in_trace(*impl_, "requires_grad_()");
  else
    detail::trace_invalidate(*impl_->storage);
  if (impl_->unrecorded) impl_->unrecorded = false;
  // The leaf node stays with its tensor: edges that save the tensor do not count it.
  auto& resting = impl_->resting_leaf;
  if (!on) resting = std::move(node);
  if (on && !resting) resting = detail::Ref<Node>::adopt(new LeafNode);
  detail::Ref<Node::Watches> gone;  // dies after the lock
  {
    const internal::WatchLock lock(*resting);
    std::swap(gone, resting->watches_);
  }
  if (!on) return *this;
  node = std::move(resting);
  node->outputs_.clear();
  node->outputs_.push_back({impl_->shape, impl_->dtype});
  impl_->index = 0;
  if (detail::tracing) [[unlikely]]
    detail::trace_leaf_made(*node);
  return *this;
}

Tensor Tensor::grad() const {
  const auto& t = asked("grad");
  if (detail::tracing && t.node) [[unlikely]] {
    detail::trace_leaf(t);
    detail::trace_gradient_read(*t.node, false);
  }
  return t.node ? t.node->kept_grad(t.index) : Tensor();
}

void Tensor::set_grad(const Tensor& gradient) {
  const auto& t = checked("set_grad");
  if (!t.node) {
    if (gradient.defined())
      fail("set_grad", "the tensor must require a gradient, got one that does not");
    return;
  }
  if (gradient.defined()) internal::check_gradient("set_grad", gradient, t.shape, t.dtype);
  if (detail::tracing) [[unlikely]]
    detail::trace_leaf(t);
  {
    Tensor before;  // dies after the lock
    const internal::WatchLock lock(*t.node);
    if (gradient.defined() || t.node->find_watch(t.index))
      before = std::exchange(t.node->watch(t.index).grad, gradient);
  }
  if (detail::tracing) [[unlikely]]
    detail::trace_gradient_changed(*t.node);
}

void Tensor::retain_grad() {
  const auto& t = checked("retain_grad");
  if (!t.node)
    fail("retain_grad", "the tensor must require a gradient, got one that does not{}",
         internal::why_unrecorded(*this));
  if (detail::tracing && !t.node->is_leaf()) [[unlikely]]
    detail::refuse_outside_in_trace(t, "retain_grad()");
  const internal::WatchLock lock(*t.node);
  t.node->watch(t.index).retain = true;
}

namespace {

// Recordings call the hooks that there were.
void hooks_change(const detail::TensorImpl& t, std::string_view what) {
  if (detail::tracing) [[unlikely]]
    detail::refuse_outside_in_trace(t, what);
  else if (t.node && t.node->is_leaf())
    detail::trace_invalidate(*t.storage);
}

}  // namespace

std::uint64_t Tensor::register_hook(std::function<Tensor(const Tensor&)> hook) {
  const auto& t = checked("register_hook");
  check_callable("register_hook", hook);
  if (!t.node)
    fail("register_hook", "the tensor must require a gradient, got one that does not{}",
         internal::why_unrecorded(*this));
  hooks_change(t, "register_hook()");
  auto call = std::make_shared<const std::function<Tensor(const Tensor&)>>(std::move(hook));
  const internal::WatchLock lock(*t.node);
  static std::atomic<std::uint64_t> last{0};  // no id comes twice: a stale one removes nothing
  const std::uint64_t id = ++last;
  t.node->watch(t.index).hooks.push_back({id, std::move(call)});
  return id;
}

void Tensor::remove_hook(std::uint64_t id) {
  const auto& t = checked("remove_hook");
  if (!t.node) return;
  hooks_change(t, "remove_hook()");
  Node::Hook gone;  // dies after the lock
  const internal::WatchLock lock(*t.node);
  Node::Watch* const w = t.node->find_watch(t.index);
  if (!w) return;
  const auto at = std::find_if(w->hooks.begin(), w->hooks.end(),
                               [&](const Node::Hook& h) { return h.id == id; });
  if (at == w->hooks.end()) return;
  gone = std::move(*at);
  w->hooks.erase(at);
}

}  // namespace autograd
