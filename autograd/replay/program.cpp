#include "autograd/replay/program.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "autograd/cpu.hpp"
#include "autograd/ops/internal.hpp"

namespace autograd {
namespace replay {
namespace {

using detail::Ref;
using detail::Storage;
using detail::TensorImpl;

std::atomic<std::uint64_t> changes{0};

// References from recordings to each storage of the program.
struct Registry {
  std::mutex mutex;
  std::unordered_map<const Storage*, std::atomic<std::uint32_t>> references;
};
Registry& registry() {
  static auto* instance = new Registry;  // recordings in static storage may die later
  return *instance;
}

Tensor tensor_on(Ref<Storage> storage, const Operand& o) {
  return Tensor(
      Ref<TensorImpl>::adopt(new TensorImpl(std::move(storage), o.shape, o.numel, o.dtype)));
}

}  // namespace

std::uint64_t epoch() noexcept { return changes.load(std::memory_order_relaxed); }

// ---------------------------------------------------------------- what recordings hold

void Holds::add(const Ref<Storage>& storage, std::uint32_t references) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  auto& total = r.references[storage.get()];
  total += references;
  holds_.push_back({storage.get(), references, &total});
}

bool Holds::all_owned() const noexcept {
  return std::ranges::all_of(
      holds_, [](const Hold& h) { return h.storage->use_count() > h.total->load(); });
}

Holds::~Holds() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  for (const Hold& h : holds_)
    if ((*h.total -= h.references) == 0) r.references.erase(h.storage);
}

// ---------------------------------------------------------------- building

Program::Program(Recorder& recorder, const TensorList& results)
    : epoch_(epoch()), grad_enabled_(grad_enabled()) {
  add_results(recorder, results);
  add_finals(recorder);
  for (const ElementGuard& g : recorder.guards) {
    Guard& guard = guards_.emplace_back();
    guard.slot = g.value;
    guard.version = g.version;
    Value& value = recorder.values[g.value];
    if (value.source != Source::argument) continue;
    const auto* p = static_cast<const char*>(value.storage->data());
    guard.elements.assign(p, p + value.storage->bytes());
  }
  for (const Tensor& t : recorder.arguments)
    arguments_.push_back({t.shape(), t.dtype(), t.requires_grad()});
  recorder.finish();
  // Leaves that the function itself has made are gone.
  std::erase_if(finals_, [](const Final& f) { return f.node && f.node->use_count() == 1; });

  for (const Value& v : recorder.values) {
    Slot& slot = slots_.emplace_back();
    slot.source = v.source;
    slot.index = v.index;
    slot.bytes = v.storage->bytes();
    if (v.source == Source::constant || v.source == Source::outside) slot.storage = v.storage;
  }
  for (const Operand& o : results_) slots_[o.value].kept = true;
  for (const Final& f : finals_)
    if (f.defined_after) slots_[f.after.value].kept = true;
  // Who holds what the recorded call has left may write into it.
  for (Slot& slot : slots_)
    if (slot.kept && slot.source == Source::constant) {
      const Ref<Storage> original = std::exchange(slot.storage, Storage::create(slot.bytes));
      std::memcpy(slot.storage->data(), original->data(), slot.bytes);
    }

  steps_ = std::move(recorder.steps);
  simplify(steps_, slots_);
  allocate();
}

void Program::add_results(Recorder& recorder, const TensorList& results) {
  for (const Tensor& t : results) {
    if (!t.defined()) fail("compile", "results must be defined, got an undefined tensor");
    const auto& node = t.impl()->node;
    if (node && !node->is_leaf() && !node->released())
      fail("compile",
           "a result must not wait for a backward() after the call, got one of '{}'; call "
           "backward() inside the function, or return result.detach()",
           node->name());
    results_.push_back(recorder.operand(t));
  }
}

void Program::add_finals(Recorder& recorder) {
  for (const Leaf& l : recorder.leaves) {
    if (!l.touched) continue;
    Final& f = finals_.emplace_back();
    if (l.argument < 0) f.node = l.node;
    f.argument = l.argument;
    f.reads = l.reads;
    f.defined_before = l.before.defined();
    if (l.before.defined()) f.before = recorder.operand(l.before).value;
    const Tensor after = l.node->kept_grad(0);
    f.defined_after = after.defined();
    if (after.defined()) f.after = recorder.operand(after);
  }
}

void Program::allocate() {
  actions_ = arrange(steps_);
  std::vector<Place> local;
  arena_ = Storage::create(place(steps_, actions_, slots_, local));
  auto* base = static_cast<char*>(arena_->data());
  for (std::size_t v = 0; v < slots_.size(); ++v) {
    Slot& slot = slots_[v];
    if (slot.source == Source::computed && !slot.kept && local[v].kind == Place::none)
      slot.storage = Storage::wrap(base + slot.offset, slot.bytes, {});
    if (slot.storage) slot.data = static_cast<char*>(slot.storage->data());
  }
  for (Action& action : actions_) {
    if (action.n == 0 && !steps_[action.steps[0]].pass.run) {
      const Step& step = steps_[action.steps[0]];
      action.instruction = step.instruction.get();
      for (const Operand& o : step.in) action.in.push_back(handle(o));
      for (const Operand& o : step.out) action.out.push_back(handle(o));
      for (const Tensor& t : action.in) action.pointers.push_back(&t);
      continue;
    }
    for (const std::size_t i : action.steps) {
      const Step& step = steps_[i];
      auto place_of = [&](const Operand& o) -> Place {
        if (local[o.value].kind == Place::scratch) return local[o.value];
        return {Place::value, o.value,
                o.numel == action.n ? static_cast<std::int64_t>(size_of(o.dtype)) : 0};
      };
      Link& link = action.links.emplace_back();
      link.run = step.pass.run;
      link.formula = step.pass.formula;
      for (const int k : step.pass.operands)
        link.in.push_back(k < 0 ? Place{} : place_of(step.in[static_cast<std::size_t>(k)]));
      link.out = place_of(step.out[0]);
    }
  }
  for (const Slot& slot : slots_)
    if (slot.source == Source::outside)
      holds_.add(slot.storage, 1 + static_cast<std::uint32_t>(slot.handles.size()));
}

Tensor Program::handle(const Operand& o) {
  Slot& slot = slots_[o.value];
  for (const Tensor& t : slot.handles)
    if (t.shape() == o.shape && t.dtype() == o.dtype) return t;
  slot.handles.push_back(tensor_on(slot.storage, o));
  return slot.handles.back();
}

// ---------------------------------------------------------------- replay

bool Program::matches(const TensorList& arguments) const {
  if (arguments.size() != arguments_.size() || grad_enabled() != grad_enabled_ || !usable())
    return false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const TensorImpl& t = *arguments[i].impl();
    if (t.shape != arguments_[i].shape || t.dtype != arguments_[i].dtype ||
        static_cast<bool>(t.node) != arguments_[i].leaf)
      return false;
  }
  if (!leaves_are_distinct(arguments)) return false;
  for (const Final& f : finals_)
    if (f.reads && leaf_of(f, arguments).kept_grad(0).defined() != f.defined_before) return false;
  return std::ranges::all_of(guards_, [&](const Guard& g) {
    const Slot& slot = slots_[g.slot];
    if (slot.source == Source::outside) return slot.storage->version() == g.version;
    return std::equal(g.elements.begin(), g.elements.end(),
                      static_cast<const char*>(arguments[slot.index].raw()));
  });
}

// As they were when it was recorded: no gradient of an argument is that of another one, or of a
// leaf that the function has captured.
bool Program::leaves_are_distinct(const TensorList& arguments) const {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& node = arguments[i].impl()->node;
    if (!node) continue;
    for (std::size_t k = 0; k < i; ++k)
      if (arguments[k].impl()->node == node) return false;
    for (const Final& f : finals_)
      if (f.node == node) return false;
  }
  return true;
}

Node& Program::leaf_of(const Final& f, const TensorList& arguments) const {
  if (f.argument < 0) return *f.node;
  return *arguments[static_cast<std::size_t>(f.argument)].impl()->node;
}

void Program::bind(Slot& slot, Ref<Storage> storage) {
  slot.data = storage ? static_cast<char*>(storage->data()) : nullptr;
  for (const Tensor& t : slot.handles) t.impl()->set_storage(storage);
  slot.storage = std::move(storage);
}

void Program::bind_all(const TensorList& arguments) {
  for (Slot& slot : slots_) slot.expected = 1 + static_cast<std::uint32_t>(slot.handles.size());
  // A gradient that nobody but its leaf holds is written over; one that the call reads is not.
  for (const Final& f : finals_) {
    if (!f.defined_after || (f.reads && f.defined_before)) continue;
    const Node::Watch* w = leaf_of(f, arguments).find_watch(0);
    Slot& slot = slots_[f.after.value];
    if (w && w->grad.defined() && w->grad.impl()->storage == slot.storage &&
        w->grad.impl()->use_count() == 1)
      ++slot.expected;
  }
  for (Slot& slot : slots_) {
    if (slot.source == Source::argument)
      bind(slot, arguments[slot.index].impl()->storage);
    else if (slot.kept && slot.source == Source::computed &&
             (!slot.storage || slot.storage->use_count() > slot.expected))
      bind(slot, Storage::create(slot.bytes));  // what a caller holds keeps its elements
  }
  for (const Final& f : finals_)
    if (f.reads && f.defined_before)
      bind(slots_[f.before], leaf_of(f, arguments).kept_grad(0).impl()->storage);
}

void Program::unbind() noexcept {
  for (Slot& slot : slots_)
    if (slot.source == Source::argument || slot.source == Source::gradient) bind(slot, {});
}

void Program::run_chain(const Action& action) const {
  auto tiles = [&](std::int64_t begin, std::int64_t end) {
    const detail::PooledVector<char> scratch(action.scratch);
    const auto address = [&](const Place& p, std::int64_t i) -> char* {
      if (p.kind == Place::scratch) return const_cast<char*>(scratch.data()) + p.at;
      return p.kind == Place::none ? nullptr : slots_[p.at].data + i * p.bytes;
    };
    for (std::int64_t i = begin; i < end; i += kTile)
      for (const Link& link : action.links) {
        const void* in[10];
        std::int64_t step[10];
        for (std::size_t k = 0; k < link.in.size(); ++k) {
          in[k] = address(link.in[k], i);
          step[k] = link.in[k].bytes != 0;
        }
        link.run(link.formula, in, step, address(link.out, i), std::min(kTile, end - i));
      }
  };
  // Rough nanoseconds of an element.
  parallel_for(action.n, kTile, 0.25 * static_cast<double>(action.links.size()), tiles);
}

TensorList Program::run(const TensorList& arguments) {
  struct Unbind {
    Program& program;
    ~Unbind() { program.unbind(); }
  } const unbind{*this};
  bind_all(arguments);
  for (Action& action : actions_)
    if (action.instruction)
      action.instruction->run(Inputs(action.pointers), action.out);
    else
      run_chain(action);
  leave_gradients(arguments);
  TensorList list;
  for (const Operand& o : results_) list.push_back(result(o, arguments));
  return list;
}

Tensor Program::result(const Operand& o, const TensorList& arguments) const {
  const Slot& slot = slots_[o.value];
  if (slot.source == Source::argument && arguments[slot.index].shape() == o.shape)
    return arguments[slot.index];
  const Tensor t = tensor_on(slot.storage, o);
  return slot.source == Source::constant ? t.clone() : t;
}

void Program::leave_gradients(const TensorList& arguments) {
  for (const Final& f : finals_) {
    Node& leaf = leaf_of(f, arguments);
    if (f.defined_after) {
      Tensor& grad = leaf.watch(0).grad;
      const Slot& slot = slots_[f.after.value];
      if (slot.source == Source::constant)
        grad = tensor_on(slot.storage, f.after).clone();
      else if (!grad.defined() || !(grad.impl()->storage == slot.storage))
        grad = tensor_on(slot.storage, f.after);
    } else if (Node::Watch* w = leaf.find_watch(0)) {
      w->grad = {};
    }
  }
}

}  // namespace replay

void invalidate_recordings() noexcept { replay::changes.fetch_add(1, std::memory_order_relaxed); }
void detail::trace_invalidate(const Storage& storage) noexcept {
  replay::Registry& r = replay::registry();
  const std::lock_guard lock(r.mutex);
  if (r.references.contains(&storage)) invalidate_recordings();
}

}  // namespace autograd
