#include "autograd/ir/program.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/row_blocks.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/rows.hpp"

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

// The same rows, of which it has none yet.
Ref<Storage> another(Storage& rows) { return Storage::create_rows(rows.rows()->format()); }

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
  const detail::TraceOff off;  // what is asked from here on is no question of the function's
  add_results(recorder, results);
  add_gradients(recorder);
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
    arguments_.push_back(
        {t.impl()->shape, t.impl()->dtype, static_cast<bool>(t.impl()->node), is_rows(t)});
  recorder.finish(results);
  objects_ = std::move(recorder.objects);

  slots_.reserve(recorder.values.size());
  for (const Value& v : recorder.values) {
    Slot& slot = slots_.emplace_back();
    slot.source = v.source;
    slot.index = v.index;
    slot.bytes = v.storage->bytes();
    slot.rows = v.storage->rows() != nullptr;
    if (slot.rows && v.source == Source::computed) slot.storage = another(*v.storage);
    if (v.source == Source::constant || v.source == Source::outside) slot.storage = v.storage;
    if (v.source == Source::outside && v.written) written_.push_back(slots_.size() - 1);
  }
  for (const Operand& o : results_) slots_[o.value].kept = true;
  steps_ = std::move(recorder.steps);
  keep_gradients();
  // Who holds what the recorded call has left may write into it.
  for (Slot& slot : slots_)
    if (slot.kept && slot.source == Source::constant) {
      const Ref<Storage> original = std::exchange(slot.storage, Storage::create(slot.bytes));
      std::memcpy(slot.storage->data(), original->data(), slot.bytes);
    }
  recorder.values.clear();
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

void Program::add_gradients(Recorder& recorder) {
  for (Leaf& l : recorder.leaves) {
    if (!l.reads && l.changes.empty()) continue;
    Gradient& g = gradients_.emplace_back();
    if (l.argument < 0) g.node = l.node;
    g.argument = l.argument;
    g.reads = l.reads;
    g.defined_before = l.before.defined();
    g.rows_before = l.rows;
    if (l.before.defined()) g.before = recorder.value(l.before);
    if (l.held &&
        (recorder.values[g.before].named || recorder.values[g.before].source != Source::gradient))
      g.held = l.before.impl()->storage;
    g.changes = std::move(l.changes);
    l.before = {};
    if (const Node::Watch* w = l.node->find_watch(0); w && w->grad.defined())
      if (const auto& node = w->grad.impl()->node; node && !node->is_leaf() && !node->released())
        fail("compile",
             "a gradient must not wait for another backward() after the call, got one of '{}'; use "
             "grad() for derivatives of derivatives",
             node->name());
  }
}

// The gradients that leaves have after the call, and those that they would have if an instruction
// failed on the way. Elementwise ones do not fail.
void Program::keep_gradients() {
  std::vector<std::size_t> may_fail;  // positions
  for (const Step& step : steps_)
    if (!step.pass.run) may_fail.push_back(step.position);
  for (const Gradient& g : gradients_)
    for (std::size_t i = 0; i < g.changes.size(); ++i) {
      const GradientChange& c = g.changes[i];
      if (!c.defined) continue;
      const auto next = std::ranges::lower_bound(may_fail, c.position);
      if (i + 1 == g.changes.size() ||
          (next != may_fail.end() && *next < g.changes[i + 1].position))
        slots_[c.gradient.value].kept = true;
    }
}

void Program::allocate() {
  actions_ = arrange(steps_);
  std::vector<Place> local;
  arena_ = Storage::create(place(steps_, actions_, slots_, local));
  auto* base = static_cast<char*>(arena_->data());
  for (std::size_t v = 0; v < slots_.size(); ++v) {
    Slot& slot = slots_[v];
    if (slot.rows) continue;
    if (slot.source == Source::computed && !slot.kept && local[v].kind == Place::none)
      slot.storage = Storage::wrap(base + slot.offset, slot.bytes, {});
    if (slot.storage) slot.data = static_cast<char*>(slot.storage->data());
  }
  std::vector<std::size_t> begun(slots_.size());  // where the computation of a value begins
  for (Action& action : actions_) {
    action.position = steps_[action.steps[0]].position;
    for (const std::size_t i : action.steps)
      for (const Operand& o : steps_[i].out) begun[o.value] = action.position;
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
  for (Gradient& g : gradients_)
    g.reusable = !g.changes.empty() && g.last().defined && !(g.reads && g.defined_before) &&
                 begun[g.last().gradient.value] >= g.changes[0].position;
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

std::string_view Program::outdated() const noexcept {
  if (epoch_ != epoch()) return "a module, an optimizer or a captured tensor was edited";
  if (!holds_.all_owned()) return "a captured tensor was replaced";
  for (const ObjectGuard& g : objects_) {
    const std::uint64_t change = g.state->change.load(std::memory_order_relaxed);
    if (change == detail::Watched::kEnded) return "a generator or an optimizer was destroyed";
    if (g.asked && change != g.change) return "what the function asked of an object changed";
  }
  return {};
}

std::string_view Program::mismatch(const TensorList& arguments) const {
  if (arguments.size() != arguments_.size()) return "another number of arguments";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const TensorImpl& t = *arguments[i].impl();
    if (t.shape != arguments_[i].shape) return "other shapes of arguments";
    if (t.dtype != arguments_[i].dtype) return "other dtypes of arguments";
    if (static_cast<bool>(t.node) != arguments_[i].leaf)
      return "other arguments require a gradient";
    if (is_rows(arguments[i]) != arguments_[i].rows) return "other arguments are rows";
  }
  if (grad_enabled() != grad_enabled_) return "another grad mode";
  if (const auto reason = outdated(); !reason.empty()) return reason;
  if (!leaves_are_distinct(arguments)) return "arguments that are one tensor";
  for (const std::size_t v : written_)
    for (const Tensor& t : arguments)
      if (t.impl()->storage == slots_[v].storage) return "an argument that the function writes";
  for (const Gradient& g : gradients_) {
    if (!g.reads) continue;
    const Tensor before = leaf_of(g, arguments).kept_grad(0);
    if (before.defined() != g.defined_before) return "a gradient is there that was not, or is gone";
    if (g.defined_before && is_rows(before) != g.rows_before) return "another gradient is rows";
    if (g.held && !(before.impl()->storage == g.held)) return "a gradient was replaced";
  }
  for (const Guard& g : guards_) {
    const Slot& slot = slots_[g.slot];
    if (slot.source == Source::outside
            ? slot.storage->version() != g.version
            : !std::equal(g.elements.begin(), g.elements.end(),
                          static_cast<const char*>(arguments[slot.index].raw())))
      return "elements that the function read changed";
  }
  return {};
}

// As they were when it was recorded: no gradient of an argument is that of another one, or of a
// leaf that the function has captured.
bool Program::leaves_are_distinct(const TensorList& arguments) const {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& node = arguments[i].impl()->node;
    if (!node) continue;
    for (std::size_t k = 0; k < i; ++k)
      if (arguments[k].impl()->node == node) return false;
    for (const Gradient& g : gradients_)
      if (g.node == node) return false;
  }
  return true;
}

Node& Program::leaf_of(const Gradient& g, const TensorList& arguments) const {
  if (g.argument < 0) return *g.node;
  return *arguments[static_cast<std::size_t>(g.argument)].impl()->node;
}

void Program::bind(Slot& slot, Ref<Storage> storage) {
  slot.data = storage && !slot.rows ? static_cast<char*>(storage->data()) : nullptr;
  for (const Tensor& t : slot.handles) t.impl()->set_storage(storage);
  slot.storage = std::move(storage);
}

void Program::bind_all(const TensorList& arguments) {
  for (Slot& slot : slots_) slot.expected = 1 + static_cast<std::uint32_t>(slot.handles.size());
  // A gradient that nobody but its leaf holds is written over; one that the call reads is not.
  for (const Gradient& g : gradients_) {
    if (!g.reusable) continue;
    const Node::Watch* w = leaf_of(g, arguments).find_watch(0);
    Slot& slot = slots_[g.last().gradient.value];
    if (w && w->grad.defined() && w->grad.impl()->storage == slot.storage &&
        w->grad.impl()->use_count() == 1)
      ++slot.expected;
  }
  for (Slot& slot : slots_) {
    if (slot.source == Source::argument)
      bind(slot, arguments[slot.index].impl()->storage);
    else if (slot.kept && slot.source == Source::computed &&
             (!slot.storage || slot.storage->use_count() > slot.expected))
      bind(slot, slot.rows
                     ? another(*slot.storage)
                     : Storage::create(slot.bytes));  // what a caller holds keeps its elements
  }
  for (const Gradient& g : gradients_)
    if (g.reads && g.defined_before && slots_[g.before].source == Source::gradient)
      bind(slots_[g.before], leaf_of(g, arguments).kept_grad(0).impl()->storage);
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
  std::size_t at = 0;
  try {
    for (; at < actions_.size(); ++at)
      if (Action& action = actions_[at]; action.instruction)
        action.instruction->run(Inputs(action.pointers), action.out);
      else
        run_chain(action);
  } catch (...) {
    leave_gradients(arguments, actions_[at].position);
    throw;
  }
  leave_gradients(arguments, ~std::size_t{0});
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

// The gradients as they are before the step at `position`.
void Program::leave_gradients(const TensorList& arguments, std::size_t position) {
  for (const Gradient& g : gradients_) {
    const GradientChange* change = nullptr;
    for (const GradientChange& c : g.changes)
      if (c.position <= position) change = &c;
    if (!change) continue;
    Node& leaf = leaf_of(g, arguments);
    Tensor next;
    if (change->defined) {
      const Slot& slot = slots_[change->gradient.value];
      next = tensor_on(slot.storage, change->gradient);
      if (slot.source == Source::constant) next = next.clone();
    }
    const internal::WatchLock lock(leaf);
    Node::Watch* w = leaf.find_watch(0);
    if (!w && !next.defined()) continue;
    if (!w) w = &leaf.watch(0);
    // The same elements, calculated anew, stay in the tensor that the program may hold.
    if (!w->grad.defined() || !next.defined() || !(w->grad.impl()->storage == next.impl()->storage))
      std::swap(w->grad, next);  // what was there dies after the lock
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
