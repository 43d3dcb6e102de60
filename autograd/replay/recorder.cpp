#include "autograd/replay/recorder.hpp"

#include "autograd/ops/internal.hpp"

namespace autograd {
namespace {

thread_local replay::Recorder* recorder = nullptr;

[[noreturn]] void refuse(std::string_view what, std::string_view advice) {
  fail("compile", "a replay repeats operations on tensors and nothing else, got {}; {}", what,
       advice);
}

}  // namespace

constinit thread_local bool detail::tracing = false;

namespace replay {

Recorder::Recorder(TensorList tensors)
    : arguments(std::move(tensors)),
      start_(internal::last_sequence()),
      outer_(std::exchange(recorder, this)),
      previous_(std::exchange(detail::tracing, true)) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& storage = arguments[i].impl()->storage;
    known_.emplace(storage.get(), values.size());
    values.push_back({storage, Source::argument, i});
    if (const auto& node = arguments[i].impl()->node)
      leaf(*node).argument = static_cast<std::ptrdiff_t>(i);
  }
}

Recorder::~Recorder() {
  recorder = outer_;
  detail::tracing = previous_;
}

std::size_t Recorder::value_of(const detail::Ref<detail::Storage>& storage) {
  const auto [at, fresh] = known_.emplace(storage.get(), values.size());
  if (fresh)
    values.push_back(
        {storage, created_.contains(storage.get()) ? Source::constant : Source::outside});
  return at->second;
}

Operand Recorder::operand(const Tensor& t) {
  return {value_of(t.impl()->storage), t.shape(), t.numel(), t.dtype()};
}

void Recorder::add(std::unique_ptr<detail::Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) {
  Step step;
  for (std::size_t i = 0; i < in.size(); ++i) {
    check_leaf(*in[i].impl());
    kept_.push_back(in[i]);
    step.in.push_back(operand(in[i]));
    if (i < instruction->first_written()) continue;
    const Value& value = values[step.in.back().value];
    if (value.source == Source::argument)
      refuse(fmt::format("a write into argument {} by {}", value.index, instruction->name()),
             "write into a clone()");
    // A replay would go on from what the call before has left in it.
    if (value.source == Source::constant)
      refuse(fmt::format("a write into a new tensor of shape {} by {}", in[i].shape(),
                         instruction->name()),
             "write into a clone()");
  }
  {
    TensorList filled(out.begin(), out.end());
    const detail::TraceOff off;
    instruction->run(in, {filled.data(), filled.size()});
    for (std::size_t k = 0; k < out.size(); ++k)
      if (!filled[k].is(out[k]))
        fail(instruction->name(), "forward must fill its output, got another tensor in its place");
  }
  for (const Tensor& t : out) {
    kept_.push_back(t);
    known_[t.impl()->storage.get()] = values.size();
    step.out.push_back({values.size(), t.shape(), t.numel(), t.dtype()});
    values.push_back({t.impl()->storage, Source::computed});
  }
  if (out.size() == 1) {
    const std::int64_t n = out[0].numel();
    step.pass = instruction->pass(in, out[0]);
    for (const int k : step.pass.operands)
      if (k >= 0 && in[static_cast<std::size_t>(k)].numel() != n &&
          in[static_cast<std::size_t>(k)].numel() != 1)
        step.pass = {};
  }
  step.instruction = std::move(instruction);
  steps.push_back(std::move(step));
}

void Recorder::read(const detail::TensorImpl& t) {
  if (created_.contains(t.storage.get()) && !known_.contains(t.storage.get())) return;
  const std::size_t v = value_of(t.storage);
  switch (values[v].source) {
    case Source::constant:
      return;
    case Source::argument:
    case Source::outside:
      guards.push_back({v, t.storage->version()});
      return;
    default:
      refuse(
          fmt::format("the program reading elements of shape {} that are computed in it", t.shape),
          "return the tensor and read it after the call, or do not compile this part");
  }
}

void Recorder::write(const detail::TensorImpl& t) {
  if (created_.contains(t.storage.get()) && !known_.contains(t.storage.get())) return;
  refuse(fmt::format("the program writing elements of shape {}", t.shape),
         "use operations, copy_() or perform()");
}

Leaf& Recorder::leaf(Node& node) {
  for (Leaf& l : leaves)
    if (l.node.get() == &node) return l;
  leaves.push_back({detail::Ref<Node>(&node)});
  return leaves.back();
}

void Recorder::gradient_read(Node& node) {
  Leaf& l = leaf(node);
  if (std::exchange(l.touched, true)) return;
  l.reads = true;
  l.before = node.kept_grad(0);
  if (!l.before.defined()) return;
  const auto& storage = l.before.impl()->storage;
  known_[storage.get()] = values.size();
  values.push_back({storage, Source::gradient});
}

void Recorder::finish() {
  arguments.clear();
  leaves.clear();
  kept_.clear();
  created_.clear();
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
  for (const Leaf& l : leaves)
    if (l.argument >= 0 && l.node == t.node &&
        !(t.storage == values[static_cast<std::size_t>(l.argument)].storage))
      fail("compile",
           "an argument that needs a gradient must not be captured as well, got argument {} of "
           "shape {}; use the argument only",
           l.argument, t.shape);
}

void check_edges(const Inputs& inputs) { recorder->check_edges(inputs); }
void check_leaf(const detail::TensorImpl& t) { recorder->check_leaf(t); }

}  // namespace replay

// ---------------------------------------------------------------- what the operations call

void detail::trace(std::unique_ptr<Instruction> instruction, const Inputs& in,
                   std::span<Tensor> out) {
  recorder->add(std::move(instruction), in, out);
}
void detail::trace_created(const Tensor& t) { recorder->created(t); }
void detail::trace_read(const TensorImpl& t) { recorder->read(t); }
void detail::trace_write(const TensorImpl& t) { recorder->write(t); }
void detail::trace_gradient_read(Node& leaf) { recorder->gradient_read(leaf); }
void detail::trace_gradient_write(Node& leaf) { recorder->gradient_write(leaf); }
void detail::refuse_in_trace(std::string_view what, std::string_view advice) {
  if (tracing) refuse(what, advice);
}

}  // namespace autograd
