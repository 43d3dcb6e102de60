#include "autograd/ir/body.hpp"

#include <algorithm>

#include "autograd/tape/internal/capture_off.hpp"

namespace autograd::replay {
namespace {

// A replay repeats instructions for the steps of a loop: nothing may be done once.
void check(const Recorder& recorder) {
  for (const Leaf& l : recorder.leaves)
    if (l.reads || !l.changes.empty())
      fail(recorder.name,
           "the function must leave the gradients of tensors alone, got a {}; "
           "use grad()",
           l.changes.empty() ? "question for one" : "backward() or zero_grad()");
  for (const ElementGuard& g : recorder.guards)
    if (recorder.steps.values[g.value].source == Source::argument)
      fail(recorder.name,
           "the function must not read elements of what it is given, got an item(), a data() or an "
           "`if` on a value; use where(), cond() or while_loop()");
  for (const Step& step : recorder.steps.steps)
    for (const Operand& o : recorder.steps.written(step))
      if (recorder.steps.values[o.value].source == Source::outside)
        fail(recorder.name,
             "the function must not write into tensors from outside, got a write by {} into one "
             "of shape {}; make it a part of what is carried",
             step.instruction->name(), recorder.steps.type(o).shape);
}

// Marks the steps that need nothing of the arguments, and puts them first.
void find_once(Steps& form, std::size_t arguments) {
  std::vector<bool> changes(form.values.size());
  std::fill_n(changes.begin() + 1, arguments, true);
  for (std::size_t v = 0; v < changes.size(); ++v)
    if (form.values[v].written || form.values[v].rows) changes[v] = true;
  for (Step& step : form.steps) {
    const bool varies =
        std::ranges::any_of(form.all(step), [&](const Operand& o) { return changes[o.value]; });
    // One that may throw does so only where there is a step.
    step.once =
        !varies && !step.instruction->has_effect() && (step.run || !step.instruction->checks());
    if (!step.once)
      for (const Operand& o : form.out(step)) changes[o.value] = true;
  }
  std::stable_partition(form.steps.begin(), form.steps.end(),
                        [](const Step& s) { return s.once != 0; });
}

}  // namespace

Body::Body(std::unique_ptr<Program> program, const TensorList& arguments,
           std::vector<Capturing> captured)
    : program_(std::move(program)), captured_(std::move(captured)) {
  for (const Tensor& t : arguments)
    arguments_.push_back(static_cast<std::size_t>(t.numel()) * size_of(t.dtype()));
  for (const std::uint32_t v : program_->bound_) {
    const Value& value = program_->form_.values[v];
    if (value.source == Source::computed && !value.rows)
      program_->bind(v, detail::Storage::create(program_->form_.bytes(value)));
    else if (v <= arguments_.size())
      program_->bind(v, detail::Storage::create(arguments_[v - 1]));
  }
  const auto& actions = program_->actions_;
  while (first_ < actions.size() && program_->form_.steps[actions[first_].begin].once) ++first_;
}

Body::Bound::Bound(Body& body, const Inputs& captured) : body_(body) {
  for (const auto& [value, which] : body.captured_)
    body.program_->bind(value, captured[which].impl()->storage);
  for (std::size_t i = 0; i < body.first_; ++i)
    body.program_->run_action(body.program_->actions_[i]);
}
Body::Bound::~Bound() {
  for (const auto& [value, which] : body_.captured_) body_.program_->bind(value, {});
}

void Body::set(std::size_t argument, const void* elements) const {
  copy(program_->data_[argument + 1], elements, arguments_[argument]);
}

void Body::run() {
  for (std::size_t i = first_; i < program_->actions_.size(); ++i)
    program_->run_action(program_->actions_[i]);
}

const void* Body::result(std::size_t i) const {
  return program_->form_.values[program_->results_[i].value].storage->data();
}

void Body::feed_back(std::size_t count) {
  // A result that is another argument is there until its place is needed.
  std::size_t room = 0;
  const auto crosses = [&](std::size_t i) {
    const std::uint32_t v = program_->results_[i].value;
    return v <= arguments_.size() && v != i + 1;
  };
  for (std::size_t i = 0; i < count; ++i)
    if (crosses(i)) {
      crossing_.resize(std::max(crossing_.size(), room + arguments_[i]));
      copy(crossing_.data() + room, result(i), arguments_[i]);
      room += arguments_[i];
    }
  room = 0;
  for (std::size_t i = 0; i < count; ++i)
    if (crosses(i)) {
      set(i, crossing_.data() + room);
      room += arguments_[i];
    } else if (program_->results_[i].value != i + 1) {
      set(i, result(i));
    }
}

bool Body::has_effect() const {
  return std::ranges::any_of(program_->form_.steps,
                             [](const Step& s) { return s.instruction->has_effect(); });
}

Recorded record(std::string_view name, const Body::Function& f, const TensorList& arguments) {
  const internal::CaptureOff apart;  // the tape of the function is nobody else's
  const bool repeats = internal::replays();
  Recorder recorder(arguments, {});
  recorder.name = name;
  recorder.edges_lead_out = true;
  recorder.repeats = repeats;
  Recorded recorded;
  TensorList out;
  {
    internal::Capture capture;
    const internal::Capture::Scope scope(capture);
    out = f(arguments);
    const detail::TraceOff quiet;
    for (Tensor& t : out) {
      if (!t.defined()) fail(name, "the function must return tensors, got an undefined one");
      t = t.detach();
      recorded.results.push_back({t.shape(), t.dtype()});
    }
    for (const Tensor& t : capture.originals())
      if (recorder.steps.values[recorder.value(t)].source == Source::outside)
        recorded.captured.push_back(t);
  }
  check(recorder);
  recorder.tell_outer();
  recorder.guards.clear();

  std::vector<Body::Capturing> capturing;
  const auto capture = [&](const Operand& o) {
    Value& value = recorder.steps.values[o.value];
    if (value.source != Source::outside) return;
    value.source = Source::argument;
    TensorList& all = recorded.captured;
    const auto at = std::ranges::find_if(
        all, [&](const Tensor& t) { return t.impl()->storage == value.storage; });
    capturing.emplace_back(o.value, static_cast<std::size_t>(at - all.begin()));
    if (at == all.end()) all.push_back(tensor_on(value.storage, recorder.steps.type(o)));
  };
  for (const Operand& o : recorder.steps.operands) capture(o);
  for (const Tensor& t : out) capture(recorder.operand(*t.impl()));
  for (Value& v : recorder.steps.values)  // of which only the shape was asked
    if (v.source == Source::outside) v.source = Source::argument;
  find_once(recorder.steps, arguments.size());
  recorded.body.reset(
      new Body(std::make_unique<Program>(recorder, out), arguments, std::move(capturing)));
  return recorded;
}

}  // namespace autograd::replay
