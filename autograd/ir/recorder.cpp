#include "autograd/ir/recorder.hpp"

#include <algorithm>

#include "autograd/core/internal/named.hpp"
#include "autograd/core/internal/pass.hpp"
#include "autograd/core/internal/row_blocks.hpp"
#include "autograd/tape/internal/tape.hpp"
#include "autograd/tape/rows.hpp"

namespace autograd {
namespace {

// Of what goes by rows in a chain: tiles are whole rows, and stay in the cache.
constexpr std::int64_t kLongestRow = 16384;

std::atomic<std::uint64_t> object_changes{0};

}  // namespace

namespace replay {

detail::Ref<detail::Storage> same_rows(detail::Storage& rows) {
  return detail::Storage::create_rows(rows.rows()->format());
}

std::uint64_t next_change() noexcept {
  return object_changes.fetch_add(1, std::memory_order_relaxed) + 1;
}

Recorder::Recorder(TensorList tensors, const TensorList& originals)
    : arguments(std::move(tensors)),
      start_(internal::last_sequence()),
      change_(object_changes.load(std::memory_order_relaxed)) {
  for (const Tensor& t : originals) originals_.push_back(t.impl()->storage);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const detail::TensorImpl& t = *arguments[i].impl();
    unmarked_.emplace(t.storage.get(), new_value(t.storage, Source::argument));
    if (t.node) leaf(*t.node).argument = static_cast<std::ptrdiff_t>(i);
  }
}

void Recorder::refuse(std::string_view what, std::string_view advice) const {
  fail(name, "a replay repeats operations on tensors and nothing else, got {}; {}", what, advice);
}

void Recorder::from_program(std::string_view what) const {
  refuse(what, "make the tensor outside and pass it as an argument; a number is full({}, number)");
}

std::uint32_t Recorder::new_value(const detail::Ref<detail::Storage>& storage, Source source) {
  steps.values.push_back(
      {.storage = storage, .source = source, .rows = storage->rows() != nullptr});
  return static_cast<std::uint32_t>(steps.values.size() - 1);
}

// The value of a storage; 0 if there is none.
std::uint32_t Recorder::find(const detail::Storage& storage) const {
  const std::uint32_t mark = storage.mark();
  if (mark < steps.values.size() && steps.values[mark].storage.get() == &storage) return mark;
  Recent& recent = recent_[reinterpret_cast<std::uintptr_t>(&storage) / 32 % recent_.size()];
  if (recent.storage == &storage) return recent.value;
  const auto at = unmarked_.find(&storage);
  if (at == unmarked_.end()) return 0;
  recent = {&storage, at->second};
  return at->second;
}

// The same; of the program if it is not known.
std::uint32_t Recorder::value_of(const detail::Ref<detail::Storage>& storage) {
  if (const std::uint32_t v = find(*storage)) return v;
  const std::uint32_t v = new_value(storage, Source::outside);
  unmarked_.emplace(storage.get(), v);
  return v;
}

Operand Recorder::operand(const detail::TensorImpl& t) {
  const std::uint32_t v = value_of(t.storage);
  Value& value = steps.values[v];
  if (value.source == Source::created) {
    // An operation has put elements there that no instruction shows.
    if (!value.filled && t.storage->bytes() > 0)
      refuse("a new tensor whose elements no operation has made", "make it with zeros()");
    value.source = Source::constant;
  }
  if (!adding_) value.named = true;
  const bool whole = value.type != 0 && steps.types[value.type].is_of(t);
  return {v, whole ? value.type : types_.of(t, steps)};
}

// The operand of a tensor that an instruction has filled.
Operand Recorder::filled(const detail::TensorImpl& t) {
  const std::uint32_t before = find(*t.storage);
  const Source source = steps.values[before].source;
  std::uint32_t v = before;
  if (before == 0 || source != Source::created) {
    v = new_value(t.storage, Source::computed);
    if (before != 0 && before == t.storage->mark()) {
      if (source == Source::computed) drop(steps.values[before]);
      t.storage->set_mark(v);
      created_.push_back(v);
    } else {
      unmarked_.insert_or_assign(t.storage.get(), v);
      recent_ = {};
    }
  }
  Value& value = steps.values[v];
  value.source = Source::computed;
  value.type = types_.of(t, steps);
  value.rows = t.storage->rows() != nullptr;
  return {v, value.type};
}

// Its elements are.
bool Recorder::is_made_inside(const detail::TensorImpl& t) const {
  const std::uint32_t v = find(*t.storage);
  const Source source = steps.values[v].source;
  return v != 0 &&
         (source == Source::created || source == Source::constant || source == Source::computed);
}

void Recorder::created(const Tensor& t) {
  constexpr std::size_t kYoung = 64;
  if (created_.size() >= old_ + kYoung) let_go(created_.size() >= full_ ? 0 : old_);
  const auto& storage = t.impl()->storage;
  created_.push_back(new_value(storage, Source::created));
  storage->set_mark(created_.back());
}

// Of rows a replay asks which.
void Recorder::drop(Value& value) {
  value.storage = value.rows ? same_rows(*value.storage) : detail::Ref<detail::Storage>();
}

// Of what was created from number `first` on. Most go young, and their memory is used again soon.
void Recorder::let_go(std::size_t first) {
  const auto goes = [&](std::uint32_t v) {
    Value& value = steps.values[v];
    if (value.storage && (value.source == Source::constant || value.storage->use_count() > 1))
      return false;
    drop(value);
    return true;
  };
  created_.erase(
      std::remove_if(created_.begin() + static_cast<std::ptrdiff_t>(first), created_.end(), goes),
      created_.end());
  old_ = created_.size();
  if (first == 0) full_ = 2 * old_ + 1024;
}

void Recorder::viewed(const Tensor& view, const Tensor&) {
  if (!is_made_inside(*view.impl())) own_views_.emplace(view.impl(), view);
}

void Recorder::refuse_outside(const detail::TensorImpl& t, std::string_view what) const {
  if (!is_made_inside(t) && !own_views_.contains(&t))
    refuse(
        fmt::format("{} of a tensor of shape {} that is not made in the function", what, t.shape),
        "call it outside");
}

void Recorder::check_writes(const Step& step) {
  for (const Operand& o : steps.written(step)) {
    Value& value = steps.values[o.value];
    const std::string_view name = step.instruction->name();
    if (value.source == Source::argument)
      refuse(fmt::format("a write into argument {} by {}", o.value - 1, name),
             "write into a clone()");
    // A replay would go on from what the call before has left in it.
    if (value.source == Source::constant)
      refuse(fmt::format("a write into a new tensor of shape {} by {}", steps.type(o).shape, name),
             "write into a clone()");
    for (std::size_t k = 0; k < originals_.size(); ++k)
      if (originals_[k] == value.storage)
        refuse(fmt::format("a write by {} into a captured tensor that is argument {} as well", name,
                           k),
               "pass a clone()");
    value.written = true;
  }
}

void Recorder::add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) {
  Step step;
  step.first = static_cast<std::uint32_t>(steps.operands.size());
  step.ins = static_cast<std::uint32_t>(in.size());
  step.outs = static_cast<std::uint32_t>(out.size());
  step.position = static_cast<std::uint32_t>(steps.steps.size());
  step.instruction = std::move(instruction);
  for (std::size_t i = 0; i < in.size(); ++i) {
    check_leaf(*in[i].impl());
    steps.operands.push_back(operand(*in[i].impl()));
  }
  if (step.instruction->first_written() < in.size()) check_writes(step);
  {
    TensorList made(out.begin(), out.end());
    const detail::TraceOff off;
    step.instruction->run(in, {made.data(), made.size()});
    for (std::size_t k = 0; k < out.size(); ++k)
      if (made[k].impl() != out[k].impl())
        fail(step.instruction->name(),
             "forward must fill its output, got another tensor in its place");
  }
  // Rows have no elements of which a chain could know the address.
  bool rows = false;
  for (std::size_t i = 0; i < in.size(); ++i) rows |= in[i].impl()->storage->rows() != nullptr;
  for (const Tensor& t : out) rows |= t.impl()->storage->rows() != nullptr;
  if (!out.empty() && !rows) note_pass(step, in, out[0]);
  for (const Tensor& t : out) steps.operands.push_back(filled(*t.impl()));
  steps.steps.push_back(std::move(step));
}

// How a step is computed element by element, if it is: its inputs are those of the formula then. Or
// row by row.
void Recorder::note_pass(Step& step, const Inputs& in, const Tensor& out) {
  const detail::Pass pass = step.instruction->pass(in, out);
  step.expands = pass.expands;
  step.adds_up = pass.adds_up;
  step.moves = detail::is(pass, detail::kMoves);
  if (!pass.run) return;
  const std::int64_t n = out.impl()->numel;
  const auto fits = [&](int k) {
    if (k < 0) return true;
    const auto& operand = *in[static_cast<std::size_t>(k)].impl();
    return operand.numel == n || operand.numel == 1 ||
           (n > 0 && element_by_element(pass.run) && repeats_of(operand.shape, out.impl()->shape));
  };
  const Shape& shape = out.impl()->shape;
  const bool by_rows = detail::is(pass, detail::kByRows);
  if (by_rows ? n == 0 || (!shape.empty() && shape.back() > kLongestRow)
              : !std::ranges::all_of(pass.operands, fits))
    return;
  step.run = pass.run;
  step.formula = pass.formula;
  step.by_rows = by_rows;
  if (by_rows) {
    for (std::size_t k = 1; k < pass.operands.size(); ++k)
      if (pass.operands[k] == detail::kWhole) step.whole = step.whole | 1u << (k - 1);
    return;
  }
  InlineVector<Operand, 10> operands;
  for (const int k : pass.operands)
    operands.push_back(k < 0 ? Operand{}
                             : steps.operands[step.first + static_cast<std::size_t>(k)]);
  steps.operands.resize(step.first);
  steps.operands.insert(steps.operands.end(), operands.begin(), operands.end());
  step.ins = static_cast<std::uint32_t>(operands.size());
}

void Recorder::read(const detail::TensorImpl& t) {
  const std::uint32_t v = value_of(t.storage);
  const Value& value = steps.values[v];
  if (value.source == Source::constant || value.source == Source::created) return;
  if (value.source == Source::argument || (value.source == Source::outside && !value.written))
    return guards.push_back({v, t.storage->version()});
  const std::string_view how = value.written ? "written" : "computed";
  if (const std::string_view op = internal::named_operation(); !op.empty())
    refuse(
        fmt::format("{}, which must read elements of shape {} that are {} in it", op, t.shape, how),
        "call it after the call, on what the function returns, or do not compile this part");
  refuse(fmt::format("the program reading elements of shape {} that are {} in it", t.shape, how),
         "return the tensor and read it after the call, or do not compile this part");
}

void Recorder::rows_asked(const detail::TensorImpl& t) {
  steps.values[value_of(t.storage)].rows_asked = true;
}

void Recorder::write(const detail::TensorImpl& t, bool by_hand) {
  Value& value = steps.values[find(*t.storage)];
  if (!by_hand && value.storage && value.source == Source::created) {
    value.filled = true;
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
    return steps.values[find(*t->storage)].source == Source::argument;
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
  const detail::TensorImpl& g = *l.before.impl();
  // The program may mean the tensor that it holds, not what the leaf has by then.
  const bool known = find(*g.storage) != 0;
  l.held = known || g.use_count() > 2 || g.storage->use_count() > 1;
  if (!known) unmarked_.emplace(g.storage.get(), new_value(g.storage, Source::gradient));
  l.rows = is_rows(l.before);
}

void Recorder::gradient_changed(Node& node) {
  if (is_inside(node)) return;
  adding_ = false;
  if (!node.is_leaf())
    refuse(fmt::format("a new gradient for the result of '{}' from outside", node.name()),
           "set it outside");
  const Tensor now = node.kept_grad(0);
  GradientChange change{.position = steps.steps.size(), .defined = now.defined()};
  if (now.defined()) change.gradient = operand(*now.impl());
  leaf(node).changes.push_back(change);
}

void Recorder::check_edges(const Node&, const Inputs& inputs, std::span<const Tensor>) const {
  if (edges_lead_out) return;
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
  if (l.argument >= 0 && !(t.storage == argument(l.argument).storage))
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

void Recorder::tell_outer() const {
  Tracer* const around = outer();
  if (!around) return;
  const auto bytes_of = [](const detail::Ref<detail::Storage>& storage) {
    const auto bytes = static_cast<std::int64_t>(storage->bytes());
    return detail::TensorImpl(storage, {bytes}, bytes, DType::boolean);
  };
  for (const Value& v : steps.values)
    if (v.source == Source::outside) around->asked(bytes_of(v.storage));
  for (const ElementGuard& g : guards) around->read(bytes_of(steps.values[g.value].storage));
  for (const ObjectGuard& o : objects) around->object(o.state, o.what, o.asked);
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
  for (std::uint32_t i = 0; i < stand_ins.size(); ++i) created_.push_back(i + 1);
  stand_ins.clear();
  for (const std::uint32_t v : created_) {
    const auto& storage = steps.values[v].storage;
    if (!storage || storage->use_count() == 1) continue;
    const auto held = holders.find(storage.get());
    if (storage->use_count() > 1u + (held == holders.end() ? 0 : held->second)) refuse_kept();
  }
  for (const auto& [t, count] : handles)
    if ((is_made_inside(*t) || steps.values[find(*t->storage)].source == Source::argument) &&
        t->use_count() > count)
      refuse_kept();
  created_.clear();
}

void Recorder::refuse_kept() const {
  refuse("a tensor made in the function that the program, a hook or an action keeps",
         "return it, copy_() it into a tensor from outside, or do not compile this part");
}

}  // namespace replay

}  // namespace autograd
