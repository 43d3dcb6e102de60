#include "autograd/ir/recorder.hpp"

#include <algorithm>

#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/rows.hpp"

namespace autograd {
namespace {

thread_local replay::Recorder* recorder = nullptr;
std::atomic<std::uint64_t> object_changes{0};

[[noreturn]] void refuse(std::string_view what, std::string_view advice) {
  fail("compile", "a replay repeats operations on tensors and nothing else, got {}; {}", what,
       advice);
}

}  // namespace

constinit thread_local bool detail::tracing = false;

namespace replay {

std::uint64_t next_change() noexcept {
  return object_changes.fetch_add(1, std::memory_order_relaxed) + 1;
}

Recorder::Recorder(TensorList tensors, const TensorList& originals)
    : arguments(std::move(tensors)),
      start_(internal::last_sequence()),
      change_(object_changes.load(std::memory_order_relaxed)),
      outer_(std::exchange(recorder, this)),
      previous_(std::exchange(detail::tracing, true)) {
  for (const Tensor& t : originals) originals_.push_back(t.impl()->storage);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const detail::TensorImpl& t = *arguments[i].impl();
    known_[t.storage.get()].value = new_value(t.storage, Source::argument);
    values.back().index = i;
    if (t.node) leaf(*t.node).argument = static_cast<std::ptrdiff_t>(i);
  }
}

Recorder::~Recorder() {
  recorder = outer_;
  detail::tracing = previous_;
}

std::size_t Recorder::new_value(const detail::Ref<detail::Storage>& storage, Source source) {
  values.push_back({storage, source});
  return values.size() - 1;
}

// The value of a storage, which is one of the program if it is not known; with `used`, also of one
// that the function has made.
std::size_t Recorder::value_of(const detail::Ref<detail::Storage>& storage, bool used) {
  Known& known = this->known(storage.get());
  if (known.value != kNone) {
    if (used && !adding_) values[known.value].named = true;
    return known.value;
  }
  if (!known.created) return known.value = new_value(storage, Source::outside);
  if (!used) return kNone;
  // An operation has put elements there that no instruction shows.
  if (!known.filled && storage->bytes() > 0)
    refuse("a new tensor whose elements no operation has made", "make it with zeros()");
  return known.value = new_value(storage, Source::constant);
}

Recorder::Known& Recorder::known(const detail::Storage* storage) {
  Recent& recent = recent_[reinterpret_cast<std::uintptr_t>(storage) / 32 % recent_.size()];
  if (recent.storage != storage) recent = {storage, &known_[storage]};
  return *recent.known;
}

const Recorder::Known* Recorder::find(const detail::TensorImpl& t) const {
  const auto at = known_.find(t.storage.get());
  return at == known_.end() ? nullptr : &at->second;
}

// Its elements are.
bool Recorder::is_made_inside(const detail::TensorImpl& t) const {
  const Known* known = find(t);
  return known && (known->created ||
                   (known->value != kNone && values[known->value].source == Source::computed));
}

void Recorder::created(const Tensor& t) {
  known(t.impl()->storage.get()).created = true;
  created_.push_back(t.impl()->storage);
}

void Recorder::viewed(const Tensor& view) {
  if (!is_made_inside(*view.impl())) own_views_.emplace(view.impl(), view);
}

void Recorder::refuse_outside(const detail::TensorImpl& t, std::string_view what) const {
  if (!is_made_inside(t) && !own_views_.contains(&t))
    refuse(
        fmt::format("{} of a tensor of shape {} that is not made in the function", what, t.shape),
        "call it outside");
}

void Recorder::check_writes(const detail::Instruction& instruction, const Inputs& in,
                            const Step& step) {
  for (std::size_t i = instruction.first_written(); i < in.size(); ++i) {
    Value& value = values[step.in[i].value];
    if (value.source == Source::argument)
      refuse(fmt::format("a write into argument {} by {}", value.index, instruction.name()),
             "write into a clone()");
    // A replay would go on from what the call before has left in it.
    if (value.source == Source::constant)
      refuse(fmt::format("a write into a new tensor of shape {} by {}", step.in[i].shape,
                         instruction.name()),
             "write into a clone()");
    for (std::size_t k = 0; k < originals_.size(); ++k)
      if (originals_[k] == value.storage)
        refuse(fmt::format("a write by {} into a captured tensor that is argument {} as well",
                           instruction.name(), k),
               "pass a clone()");
    value.written = true;
  }
}

void Recorder::add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) {
  Step step;
  step.in.reserve(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    check_leaf(*in[i].impl());
    step.in.push_back(operand(in[i]));
  }
  check_writes(*instruction, in, step);
  {
    TensorList filled(out.begin(), out.end());
    const detail::TraceOff off;
    instruction->run(in, {filled.data(), filled.size()});
    for (std::size_t k = 0; k < out.size(); ++k)
      if (filled[k].impl() != out[k].impl())
        fail(instruction->name(), "forward must fill its output, got another tensor in its place");
  }
  step.out.reserve(out.size());
  for (const Tensor& t : out) {
    const detail::TensorImpl& o = *t.impl();
    const std::size_t value = new_value(o.storage, Source::computed);
    known(o.storage.get()).value = value;
    step.out.push_back({value, o.shape, o.numel, o.dtype});
  }
  // Rows have no elements of which a chain could know the address.
  bool rows = false;
  for (std::size_t i = 0; i < in.size(); ++i) rows |= in[i].impl()->storage->rows() != nullptr;
  for (const Tensor& t : out) rows |= t.impl()->storage->rows() != nullptr;
  if (out.size() == 1 && !rows) {
    const std::int64_t n = step.out[0].numel;
    step.pass = instruction->pass(in, out[0]);
    for (const int k : step.pass.operands)
      if (k >= 0 && step.in[static_cast<std::size_t>(k)].numel != n &&
          step.in[static_cast<std::size_t>(k)].numel != 1)
        step.pass = {};
  }
  step.instruction = std::move(instruction);
  step.position = steps.size();
  steps.push_back(std::move(step));
}

void Recorder::read(const detail::TensorImpl& t) {
  const std::size_t v = value_of(t.storage, false);
  if (v == kNone) return;
  const Value& value = values[v];
  if (value.source == Source::constant) return;
  if (value.source == Source::argument || (value.source == Source::outside && !value.written))
    return guards.push_back({v, t.storage->version()});
  refuse(fmt::format("the program reading elements of shape {} that are {} in it", t.shape,
                     value.written ? "written" : "computed"),
         "return the tensor and read it after the call, or do not compile this part");
}

void Recorder::write(const detail::TensorImpl& t, bool by_hand) {
  const auto at = known_.find(t.storage.get());
  if (!by_hand && at != known_.end() && at->second.created && at->second.value == kNone) {
    at->second.filled = true;
    return;
  }
  refuse(fmt::format("the program writing elements of shape {}", t.shape),
         "use operations, copy_() or perform()");
}

// Whether two handles are of one tensor would be asked of a stand-in for the argument. Other ones
// are watched.
void Recorder::compared(const detail::TensorImpl* a, const detail::TensorImpl* b) {
  if (a == b || !a || !b) return;
  const auto is_argument = [&](const detail::TensorImpl* t) {
    const Known* known = find(*t);
    return known && known->value != kNone && values[known->value].source == Source::argument;
  };
  if ((is_argument(a) && !is_made_inside(*b)) || (is_argument(b) && !is_made_inside(*a)))
    refuse("a comparison by is() of an argument with another tensor", "compare outside");
  asked(*a);
  asked(*b);
}

// ---------------------------------------------------------------- gradients

bool Recorder::is_inside(const Node& node) const {
  return node.is_leaf() ? own_leaves_.contains(&node) : node.sequence() > start_;
}

Leaf& Recorder::leaf(Node& node) {
  const auto [at, fresh] = leaf_of_.emplace(&node, leaves.size());
  if (fresh) leaves.push_back({detail::Ref<Node>(&node)});
  return leaves[at->second];
}

void Recorder::gradient_read(Node& node, bool adds) {
  if (is_inside(node)) return;  // a tensor like others
  adding_ = adds;
  if (!node.is_leaf())
    refuse(fmt::format("the gradient of the result of '{}' from outside", node.name()),
           "read it after the call");
  Leaf& l = leaf(node);
  if (l.reads || !l.changes.empty()) return;
  l.reads = true;
  l.before = node.kept_grad(0);
  if (!l.before.defined()) return;
  l.rows = is_rows(l.before);
  const detail::TensorImpl& g = *l.before.impl();
  // The program may mean the tensor that it holds, not what the leaf has by then.
  Known& known = this->known(g.storage.get());
  l.held = known.value != kNone || g.use_count() > 2 || g.storage->use_count() > 1;
  if (known.value == kNone) known.value = new_value(g.storage, Source::gradient);
}

void Recorder::gradient_changed(Node& node) {
  if (is_inside(node)) return;
  adding_ = false;
  if (!node.is_leaf())
    refuse(fmt::format("a new gradient for the result of '{}' from outside", node.name()),
           "set it outside");
  const Tensor now = node.kept_grad(0);
  GradientChange change{.position = steps.size(), .defined = now.defined()};
  if (now.defined()) change.gradient = operand(now);
  leaf(node).changes.push_back(std::move(change));
}

void Recorder::check_edges(const Inputs& inputs) const {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& node = inputs[i].impl()->node;
    if (node && !node->is_leaf() && node->sequence() <= start_)
      fail("compile",
           "gradients must end at leaves or inside the function, got the result of '{}' from "
           "outside; detach() it or compute it inside",
           node->name());
  }
}

void Recorder::check_leaf(const detail::TensorImpl& t) const {
  if (!t.node || !t.node->is_leaf()) return;
  const auto at = leaf_of_.find(t.node.get());
  if (at == leaf_of_.end()) return;
  const Leaf& l = leaves[at->second];
  if (l.argument >= 0 && !(t.storage == values[static_cast<std::size_t>(l.argument)].storage))
    fail("compile",
         "an argument that needs a gradient must not be captured as well, got argument {} of "
         "shape {}; use the argument only",
         l.argument, t.shape);
}

// ---------------------------------------------------------------- objects

void Recorder::object(const std::shared_ptr<detail::Watched::State>& state, std::string_view what,
                      bool asked) {
  const std::uint64_t change = state->change.load();
  if (asked && change > change_)
    refuse(fmt::format("{} read after the function has changed it", what),
           "read it before, or after the call");
  for (ObjectGuard& g : objects) {
    if (g.state != state) continue;
    if (asked && !std::exchange(g.asked, true)) g.change = change;
    return;
  }
  objects.push_back({state, what, asked, change});
}

// ---------------------------------------------------------------- the end

void Recorder::finish(const TensorList& results) {
  for (const ObjectGuard& g : objects)
    if (g.state->change.load() == detail::Watched::kEnded)
      refuse(fmt::format("{} that ends with the function", g.what), "make it outside");
  // Handles that are not kept by the program: each tensor, and how often its elements are held.
  std::unordered_map<const detail::TensorImpl*, std::uint32_t> handles;
  std::unordered_map<const detail::Storage*, std::uint32_t> holders;
  const auto give = [&](const Tensor& t) {
    if (handles[t.impl()]++ == 0) ++holders[t.impl()->storage.get()];
  };
  for (const Tensor& t : results) give(t);
  for (const Tensor& t : arguments) give(t);  // those that the caller holds
  for (const Leaf& l : leaves)
    if (const Node::Watch* w = l.node->find_watch(0); w && w->grad.defined()) give(w->grad);
  TensorList stand_ins = std::move(arguments);
  arguments.clear();
  leaves.clear();
  own_views_.clear();
  own_leaves_.clear();
  leaf_of_.clear();
  for (const Tensor& t : stand_ins) created_.push_back(t.impl()->storage);
  stand_ins.clear();
  for (const auto& storage : created_) {
    const std::size_t value = known_[storage.get()].value;
    const auto held = holders.find(storage.get());
    if (storage->use_count() > 1u + (value != kNone) + (held == holders.end() ? 0 : held->second))
      refuse_kept();
  }
  for (const auto& [t, count] : handles) {
    const Known& known = known_[t->storage.get()];
    if ((known.created || values[known.value].source == Source::argument) && t->use_count() > count)
      refuse_kept();
  }
  created_.clear();
}

void Recorder::refuse_kept() const {
  refuse("a tensor made in the function that the program, a hook or an action keeps",
         "return it, copy_() it into a tensor from outside, or do not compile this part");
}

}  // namespace replay

// ---------------------------------------------------------------- what the operations call

void detail::trace(std::unique_ptr<Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) {
  recorder->add(std::move(instruction), in, out);
}
void detail::trace_created(const Tensor& t) { recorder->created(t); }
void detail::trace_view(const Tensor& view) { recorder->viewed(view); }
void detail::trace_read(const TensorImpl& t) { recorder->read(t); }
void detail::trace_write(const TensorImpl& t, bool by_hand) { recorder->write(t, by_hand); }
void detail::trace_asked(const TensorImpl& t) { recorder->asked(t); }
void detail::trace_compared(const TensorImpl* a, const TensorImpl* b) { recorder->compared(a, b); }
void detail::trace_leaf_made(Node& leaf) { recorder->leaf_made(leaf); }
void detail::trace_edges(const Inputs& inputs) { recorder->check_edges(inputs); }
void detail::trace_leaf(const TensorImpl& t) { recorder->check_leaf(t); }
void detail::trace_gradient_read(Node& node, bool adds) { recorder->gradient_read(node, adds); }
void detail::trace_gradient_changed(Node& node) { recorder->gradient_changed(node); }
void detail::trace_from_program(std::string_view what) {
  refuse(what, "make the tensor outside and pass it as an argument; a number is full({}, number)");
}
void detail::refuse_traced(std::string_view what, std::string_view advice) { refuse(what, advice); }
void detail::refuse_outside_in_trace(const TensorImpl& t, std::string_view what) {
  recorder->refuse_outside(t, what);
}

void detail::Watched::note(std::string_view what, bool asked) const {
  if (!state_) state_ = std::make_shared<State>();
  recorder->object(state_, what, asked);
}

void detail::Watched::change(std::string_view what, std::string_view advice) {
  if (tracing) refuse(what, advice);
  // An action of a function that is recorded may do it, before anybody asks.
  if (!state_ && recorder) state_ = std::make_shared<State>();
  if (state_) state_->change.store(replay::next_change());
}

}  // namespace autograd
