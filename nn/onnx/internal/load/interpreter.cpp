#include "nn/onnx/internal/load/interpreter.hpp"

#include <algorithm>

#include "autograd/autograd.hpp"
#include "nn/onnx/internal/load/elements.hpp"
#include "nn/onnx/internal/load/recording.hpp"

namespace nn::interpreter {

const Tensor& Call::operator[](std::size_t i) const {
  if (i >= inputs.size() || !inputs[i].tensor.defined())
    ag::fail("input", "number {} must be a tensor, got {}", i, has(i) ? "a sequence" : "nothing");
  return inputs[i].tensor;
}
const std::vector<Value>& Call::sequence(std::size_t i) const {
  if (i >= inputs.size() || !inputs[i].sequence)
    ag::fail("input", "number {} must be a sequence, got {}", i, has(i) ? "a tensor" : "nothing");
  return *inputs[i].sequence;
}
Integers Call::integers(std::size_t i) const { return integers_of((*this)[i]); }
std::vector<double> Call::numbers(std::size_t i) const { return numbers_of((*this)[i]); }

std::int64_t Call::integer(std::size_t i) const {
  const Integers values = integers(i);
  if (values.size() != 1)
    ag::fail("input", "number {} must be one number, got {}", i, values.size());
  return values[0];
}
double Call::number(std::size_t i) const {
  const auto values = numbers(i);
  if (values.size() != 1)
    ag::fail("input", "number {} must be one number, got {}", i, values.size());
  return values[0];
}

Values Subgraph::operator()(const Call& call, const Values& inputs) const {
  const auto first = call.inputs.begin() + static_cast<std::ptrdiff_t>(first_capture);
  const Values captured(first, first + static_cast<std::ptrdiff_t>(graph->captures.size()));
  return graph->run(inputs, captured, call.weights, call.mode, graph->outputs);
}

namespace {

void mark_fixed(Values& values) {
  for (Value& value : values) value.fixed = true;
}

// What was computed while the recording was off, and is now used by what it sees: a copy, for the
// elements may be those of a constant of the model.
Value shown(Value value) {
  if (value.tensor.defined()) {
    {
      const ag::detail::TraceOff off;
      value.tensor = value.tensor.clone();
    }
    tell_recording(value.tensor);
  }
  if (value.sequence) {
    Values entries;
    for (const Value& entry : *value.sequence) entries.push_back(shown(entry));
    value.sequence = std::make_shared<const Values>(std::move(entries));
  }
  return value;
}

bool all_fixed(const Values& inputs) {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const Value& v) { return v.fixed || !v.present(); });
}

class Runner {
 public:
  Runner(const Graph& graph, std::span<const Tensor> weights, const Mode& mode,
         const std::vector<int>& wanted)
      : graph_(graph),
        weights_(weights),
        mode_(mode),
        slots_(static_cast<std::size_t>(graph.slots)),
        inside_(slots_.size()),
        wanted_(slots_.size()) {
    for (const int slot : wanted) wanted_[index(slot)] = true;
    for (const auto& [slot, value] : graph.constants) put_constant(slot, value);
    for (const auto& [slot, place] : graph.weights) slots_[index(slot)] = weights[place];
  }

  void put(const std::vector<int>& slots, const Values& values) {
    for (std::size_t i = 0; i < slots.size() && i < values.size(); ++i)
      if (slots[i] >= 0 && values[i].present()) slots_[index(slots[i])] = values[i];
  }

  // The steps up to the last that makes something wanted.
  void run() {
    const auto makes = [this](const Step& step) {
      return std::any_of(step.outputs.begin(), step.outputs.end(),
                         [this](int slot) { return slot >= 0 && wanted_[index(slot)]; });
    };
    const auto last = std::find_if(graph_.steps.rbegin(), graph_.steps.rend(), makes);
    for (auto at = graph_.steps.begin(); at != last.base(); ++at) {
      const Step& step = *at;
      try {
        run(step);
      } catch (ag::Error& e) {
        if (e.layer().type.empty()) e.set_layer({step.name, step.op, nullptr});
        throw;
      }
      for (const int slot : step.dies)
        if (!wanted_[index(slot)]) slots_[index(slot)] = Value();
    }
  }

  // What leaves is known to the recording.
  Value take(int slot) {
    show(slot);
    return slots_[index(slot)];
  }

 private:
  static std::size_t index(int slot) { return static_cast<std::size_t>(slot); }

  void put_constant(int slot, const Value& value) {
    const ag::detail::TraceOff off;
    Value own = value;
    own.tensor = mode_.converted(value.tensor);
    inside_[index(slot)] = own.tensor.dtype() != value.tensor.dtype();
    slots_[index(slot)] = std::move(own);
  }

  void run(const Step& step) {
    Values inputs;
    inputs.reserve(step.inputs.size());
    for (const int slot : step.inputs) inputs.push_back(slot < 0 ? Value() : slots_[index(slot)]);
    const bool fixed =
        step.kind == Step::Kind::shape || (step.kind == Step::Kind::pure && all_fixed(inputs));
    Values outputs = fixed ? apart(step, inputs) : together(step, inputs);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      if (step.outputs[i] < 0) continue;
      if (i >= outputs.size()) ag::fail("output", "number {} is not computed", i);
      slots_[index(step.outputs[i])] = std::move(outputs[i]);
      inside_[index(step.outputs[i])] = fixed;
    }
  }

  Values apart(const Step& step, Values& inputs) {
    const ag::detail::TraceOff off;
    const ag::NoGrad no_grad;
    Values outputs = computed(step, inputs);
    mark_fixed(outputs);
    return outputs;
  }

  Values together(const Step& step, Values& inputs) {
    bool copied = false;
    for (const int slot : step.inputs) copied |= slot >= 0 && show(slot);
    if (copied)
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (step.inputs[i] >= 0) inputs[i] = slots_[index(step.inputs[i])];
    return computed(step, inputs);
  }

  // Constants of a node, and what it makes of a dtype that it names, are of the file's dtype.
  Values computed(const Step& step, Values& inputs) const {
    Values outputs = step.run(Call{inputs, mode_, weights_});
    for (Value& output : outputs) output.tensor = mode_.converted(output.tensor);
    return outputs;
  }

  // Whether it was new to the recording.
  bool show(int slot) {
    if (!ag::detail::tracing || !inside_[index(slot)]) return false;
    slots_[index(slot)] = shown(slots_[index(slot)]);
    inside_[index(slot)] = false;
    return true;
  }

  const Graph& graph_;
  std::span<const Tensor> weights_;
  const Mode mode_;
  Values slots_;
  std::vector<bool> inside_;  // fixed, and not known to the recording yet
  std::vector<bool> wanted_;
};

}  // namespace

Values Graph::run(const Values& given, const Values& captured, std::span<const Tensor> tensors,
                  const Mode& mode, const std::vector<int>& wanted) const {
  Runner runner(*this, tensors, mode, wanted);
  runner.put(inputs, given);
  runner.put(captures, captured);
  runner.run();
  Values results;
  for (const int slot : wanted) results.push_back(runner.take(slot));
  return results;
}

}  // namespace nn::interpreter
