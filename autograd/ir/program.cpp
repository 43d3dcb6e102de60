#include "autograd/ir/program.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "autograd/core/cpu.hpp"
#include "autograd/core/internal/fork.hpp"
#include "autograd/core/internal/row_blocks.hpp"
#include "autograd/ir/fuse.hpp"
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
  detail::ForkMutex mutex;
  std::unordered_map<const Storage*, std::atomic<std::uint32_t>> references;
};
Registry& registry() {
  static auto* instance = new Registry;  // recordings in static storage may die later
  return *instance;
}

}  // namespace

std::uint64_t epoch() noexcept { return changes.load(std::memory_order_relaxed); }

// ---------------------------------------------------------------- what recordings hold

void Holds::add(const Ref<Storage>& storage, std::uint32_t references) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  // In this order, so that there is nothing to take back where memory runs out.
  holds_.push_back({storage.get(), references, nullptr});
  auto& total = r.references[storage.get()];
  total += references;
  holds_.back().total = &total;
}

bool Holds::all_owned() const noexcept {
  return std::ranges::all_of(
      holds_, [](const Hold& h) { return h.storage->use_count() > h.total->load(); });
}

Holds::~Holds() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  for (const Hold& h : holds_)
    if (h.total && (*h.total -= h.references) == 0) r.references.erase(h.storage);
}

// ---------------------------------------------------------------- tensors of instructions

Handles::Handles(std::size_t values, std::size_t operands) : heads_(values) {
  handles_.reserve(operands + 1);  // pointers to them stay
  handles_.emplace_back();
}

const Tensor& Handles::of(const Operand& o, const Steps& form, char* data, bool in_arena) {
  const TensorType& type = form.type(o);
  std::uint32_t& head = heads_[o.value];
  if (head == 0 && in_arena) {
    const std::size_t bytes = form.bytes(form.values[o.value]);
    Recent& recent = recent_[reinterpret_cast<std::uintptr_t>(data) / 64 % recent_.size()];
    if (recent.data != data || recent.bytes != bytes) {
      handles_.push_back({tensor_on(Storage::wrap(data, bytes, {}), type), o.type, 0});
      recent = {data, bytes, static_cast<std::uint32_t>(handles_.size() - 1)};
    }
    head = recent.head;
  }
  for (std::uint32_t h = head; h != 0; h = handles_[h].next)
    if (handles_[h].type == o.type) return handles_[h].tensor;
  // Of one place all use the storage of the first, which stays the first.
  const Ref<Storage>& storage =
      head != 0 ? handles_[head].tensor.impl()->storage : form.values[o.value].storage;
  handles_.push_back({tensor_on(storage, type), o.type, 0});
  std::uint32_t& link = head != 0 ? handles_[head].next : head;
  handles_.back().next = link;
  link = static_cast<std::uint32_t>(handles_.size() - 1);
  return handles_.back().tensor;
}

// ---------------------------------------------------------------- building

Program::Program(Recorder& recorder, const TensorList& results)
    : epoch_(epoch()), grad_enabled_(grad_enabled()) {
  const detail::TraceOff off;  // what is asked from here on is no question of the function's
  add_results(recorder, results);
  add_gradients(recorder);
  add_guards(recorder);
  for (const Tensor& t : recorder.arguments)
    arguments_.push_back(
        {t.impl()->shape, t.impl()->dtype, static_cast<bool>(t.impl()->node), is_rows(t)});
  recorder.finish(results);
  objects_ = std::move(recorder.objects);
  form_ = std::move(recorder.steps);
  for (const Operand& o : results_) form_.values[o.value].kept = true;
  keep_gradients();
  own_values();
  simplify(form_);
  allocate(recorder.repeats);
}

Program::~Program() = default;

void Program::add_guards(const Recorder& recorder) {
  for (const ElementGuard& g : recorder.guards) {
    Guard& guard = guards_.emplace_back();
    guard.value = g.value;
    guard.version = g.version;
    const Value& value = recorder.steps.values[g.value];
    if (value.source != Source::argument) continue;
    const auto* p = static_cast<const char*>(value.storage->data());
    guard.elements.assign(p, p + value.storage->bytes());
  }
}

// Lets go of the storage of the recording, but for that of the program and of constants.
void Program::own_values() {
  for (std::uint32_t v = 1; v < form_.values.size(); ++v) {
    Value& value = form_.values[v];
    if (value.source == Source::outside) {
      if (value.written) written_.push_back(v);
      if (value.rows_asked) rows_.push_back(v);
      continue;
    }
    if (value.source == Source::computed && value.rows) {
      value.storage = same_rows(*value.storage);
    } else if (value.source != Source::constant) {
      value.storage = {};
    } else if (value.kept) {
      // Who holds what the recorded call has left may write into it.
      const Ref<Storage> original =
          std::exchange(value.storage, Storage::create(value.storage->bytes()));
      std::memcpy(value.storage->data(), original->data(), original->bytes());
    }
  }
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
    results_.push_back(recorder.operand(*t.impl()));
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
    const Value& before = recorder.steps.values[g.before];
    if (l.held && (before.named || before.source != Source::gradient))
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
  for (const Step& step : form_.steps)
    if (!step.run) may_fail.push_back(step.position);
  for (const Gradient& g : gradients_)
    for (std::size_t i = 0; i < g.changes.size(); ++i) {
      const GradientChange& c = g.changes[i];
      if (!c.defined) continue;
      const auto next = std::ranges::lower_bound(may_fail, c.position);
      if (i + 1 == g.changes.size() ||
          (next != may_fail.end() && *next < g.changes[i + 1].position))
        form_.values[c.gradient.value].kept = true;
    }
}

void Program::allocate(bool repeats) {
  actions_ = arrange(form_);
  detail::PooledVector<Home> homes(form_.values.size());
  fusions_ = fuse(form_, actions_, homes, repeats);
  arena_ = Storage::create(place(form_, actions_, homes));
  auto* base = static_cast<char*>(arena_->data());
  data_.resize(form_.values.size());
  for (std::uint32_t v = 1; v < data_.size(); ++v) {
    const Value& value = form_.values[v];
    if (homes[v].kind == Home::arena) data_[v] = base + homes[v].offset;
    if (value.storage && !value.rows) data_[v] = static_cast<char*>(value.storage->data());
    if (value.source == Source::argument || value.source == Source::gradient ||
        (value.source == Source::computed && value.kept))
      bound_.push_back(v);
  }
  add_actions(homes);
  detail::PooledVector<std::uint32_t> begun(data_.size());  // where the computation begins
  for (const Action& action : actions_)
    for (std::uint32_t i = action.begin; i < action.end; ++i)
      for (const Operand& o : form_.out(form_.steps[i])) begun[o.value] = action.position;
  for (Gradient& g : gradients_)
    g.reusable = !g.changes.empty() && g.last().defined && !(g.reads && g.defined_before) &&
                 begun[g.last().gradient.value] >= g.changes[0].position;
  for (std::uint32_t v = 1; v < data_.size(); ++v)
    if (const Value& value = form_.values[v]; value.source == Source::outside)
      holds_.add(value.storage, references(v));
}

void Program::add_actions(const detail::PooledVector<Home>& homes) {
  std::size_t links = 0, places = 0, in = 0, out = 0;
  std::vector<bool> chained(form_.values.size());  // chains read or write the elements
  for (const Action& action : actions_) {
    const bool chain = is_chain(action);
    for (std::uint32_t i = action.begin; i < action.end; ++i) {
      const Step& step = form_.steps[i];
      if (!chain) {
        in += step.ins, out += step.outs;
        continue;
      }
      ++links, places += step.ins + step.outs;
      for (const Operand& o : form_.all(step)) chained[o.value] = true;
    }
  }
  links_.reserve(links);
  places_.reserve(places);
  in_.reserve(in);
  out_.reserve(out);
  handles_ = Handles(form_.values.size(), in + out);
  for (const Repeats& r : form_.repeats) {
    chained[r.from.value] = true;
    for (const Operand& o : {r.from, Operand{r.to, r.from.type}})
      repeated_.push_back(place_of(o, form_.numel(o), homes));
  }
  for (Action& action : actions_) {
    const Step& first = form_.steps[action.begin];
    action.position = first.position;
    if (is_chain(action)) {
      add_chain(action, homes);
      continue;
    }
    add_instruction(action, first, homes);
    action.spreads = std::ranges::any_of(form_.out(first), [&](const Operand& o) {
      return chained[o.value] && homes[o.value].kind != Home::arena && !form_.values[o.value].rows;
    });
  }
}

void Program::add_instruction(Action& action, const Step& step,
                              const detail::PooledVector<Home>& homes) {
  const auto handle = [&](const Operand& o) -> const Tensor& {
    return handles_.of(o, form_, data_[o.value], homes[o.value].kind == Home::arena);
  };
  action.instruction = step.instruction.get();
  action.in = static_cast<std::uint32_t>(in_.size());
  action.out = static_cast<std::uint32_t>(out_.size());
  action.outs = step.outs;
  for (const Operand& o : form_.in(step))
    if (o.value != 0) in_.push_back(&handle(o));  // a formula may use less than it could
  action.ins = static_cast<std::uint32_t>(in_.size()) - action.in;
  for (const Operand& o : form_.out(step)) out_.push_back(handle(o));
}

// References to the storage of a value that are ours.
std::uint32_t Program::references(std::uint32_t value) const {
  std::uint32_t count = 1;
  handles_.for_each(value, [&](const Tensor&) { ++count; });
  return count;
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
      if (t.impl()->storage == form_.values[v].storage)
        return "an argument that the function writes";
  for (const std::uint32_t v : rows_)
    if (!form_.values[v].storage->rows()->alive()) return "a captured tensor is no longer rows";
  for (const Gradient& g : gradients_) {
    if (!g.reads) continue;
    const Tensor before = leaf_of(g, arguments).kept_grad(0);
    if (before.defined() != g.defined_before) return "a gradient is there that was not, or is gone";
    if (g.defined_before && is_rows(before) != g.rows_before) return "another gradient is rows";
    if (g.held && !(before.impl()->storage == g.held)) return "a gradient was replaced";
  }
  for (const Guard& g : guards_) {
    const Value& value = form_.values[g.value];
    if (value.source == Source::outside
            ? value.storage->version() != g.version
            : !std::equal(g.elements.begin(), g.elements.end(),
                          static_cast<const char*>(arguments[g.value - 1].raw())))
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

void Program::bind(std::uint32_t v, Ref<Storage> storage) {
  const bool elements = storage && !form_.values[v].rows;
  data_[v] = elements ? static_cast<char*>(storage->data()) : nullptr;
  handles_.for_each(v, [&](const Tensor& t) { t.impl()->set_storage(storage); });
  form_.values[v].storage = std::move(storage);
}

void Program::bind_all(const TensorList& arguments) {
  for (const std::uint32_t v : bound_) form_.values[v].references = references(v);
  // A gradient that nobody but its leaf holds is written over; one that the call reads is not.
  for (const Gradient& g : gradients_) {
    if (!g.reusable) continue;
    const Node::Watch* w = leaf_of(g, arguments).find_watch(0);
    Value& value = form_.values[g.last().gradient.value];
    if (w && w->grad.defined() && w->grad.impl()->storage == value.storage &&
        w->grad.impl()->use_count() == 1)
      ++value.references;
  }
  for (const std::uint32_t v : bound_) {
    const Value& value = form_.values[v];
    if (value.source == Source::argument)
      bind(v, arguments[v - 1].impl()->storage);
    else if (value.source == Source::computed &&
             (!value.storage || value.storage->use_count() > value.references))
      // What a caller holds keeps its elements.
      bind(v, value.rows ? same_rows(*value.storage) : Storage::create(form_.bytes(value)));
  }
  for (const Gradient& g : gradients_)
    if (g.reads && g.defined_before && form_.values[g.before].source == Source::gradient)
      bind(g.before, leaf_of(g, arguments).kept_grad(0).impl()->storage);
}

void Program::unbind() noexcept {
  for (const std::uint32_t v : bound_)
    if (form_.values[v].source != Source::computed) bind(v, {});
}

TensorList Program::run(const TensorList& arguments) {
  struct Unbind {
    Program& program;
    ~Unbind() { program.unbind(); }
  } const unbind{*this};
  bind_all(arguments);
  std::size_t at = 0;
  try {
    for (; at < actions_.size(); ++at) run_action(actions_[at]);
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
  const Value& value = form_.values[o.value];
  if (value.source == Source::argument && arguments[o.value - 1].shape() == form_.type(o).shape)
    return arguments[o.value - 1];
  const Tensor t = tensor_on(value.storage, form_.type(o));
  return value.source == Source::constant ? t.clone() : t;
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
      const Value& value = form_.values[change->gradient.value];
      next = tensor_on(value.storage, form_.type(change->gradient));
      if (value.source == Source::constant) next = next.clone();
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
