#include "autograd/recording.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <typeinfo>

#include "autograd/ir/recorder.hpp"

namespace autograd {
namespace {

std::string type_of(const detail::Instruction& instruction) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(typeid(instruction).name(), nullptr, nullptr, &status), std::free);
  return text ? text.get() : "";
}

// Whether the operation is one of the library, which its type tells; an elementwise one of the
// program brings a formula.
bool is_built_in(const detail::Instruction& instruction, std::span<const DType> inputs,
                 DType output) {
  constexpr std::string_view library = "autograd::detail::OperationInstruction<autograd::";
  const std::string type = type_of(instruction);
  if (!type.starts_with(library)) return false;
  if (type.find("<autograd::detail::Elementwise>") == std::string::npos) return true;
  TensorList in;
  for (const DType d : inputs) in.push_back(empty({}, d));
  return instruction.pass(InputList(in), empty({}, output)).formula == nullptr;
}

Recording::Source source_of(replay::Source source) {
  switch (source) {
    case replay::Source::argument:
      return Recording::Source::argument;
    case replay::Source::constant:
    case replay::Source::created:
      return Recording::Source::constant;
    case replay::Source::computed:
    case replay::Source::repeated:
      return Recording::Source::computed;
    case replay::Source::outside:
    case replay::Source::gradient:
      break;
  }
  return Recording::Source::captured;
}

}  // namespace

Recording::Recording(const Function& f, const TensorList& arguments) {
  TensorList in;
  for (const Tensor& t : arguments) {
    if (!t.defined()) fail("record", "arguments must be defined, got an undefined tensor");
    in.push_back(t.detach().clone());
  }
  std::vector<replay::Operand> results;
  replay::Steps form;
  {
    replay::Recorder recorder(in, arguments);
    const TensorList out = f(in);
    const detail::TraceOff off;
    for (const Tensor& t : out) {
      if (!t.defined()) fail("record", "results must be defined, got an undefined tensor");
      results.push_back(recorder.operand(*t.impl()));
    }
    for (const replay::ElementGuard& g : recorder.guards)
      if (recorder.steps.values[g.value].source == replay::Source::argument)
        read_.push_back(g.value - 1);
    recorder.finish(out);  // `in` is held until then
    form = std::move(recorder.steps);
  }

  // Values that a step or a result names, in the order in which they are met; the arguments first.
  std::vector<std::size_t> number(form.values.size(), kNone);
  const auto value_of = [&](const replay::Operand& o) {
    if (o.value == 0) return kNone;
    std::size_t& n = number[o.value];
    if (n != kNone) return n;
    n = values_.size();
    const replay::Value& v = form.values[o.value];
    const replay::TensorType& type = form.type(o);
    Value value{source_of(v.source), type.dtype, type.shape, 0, {}};
    if (value.source == Source::captured || value.source == Source::constant)
      value.elements = replay::tensor_on(v.storage, type);
    values_.push_back(std::move(value));
    return n;
  };
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    number[i + 1] = i;
    values_.push_back({Source::argument, arguments[i].dtype(), arguments[i].shape(), i, {}});
  }
  for (replay::Step& s : form.steps) {
    Step step;
    std::vector<DType> dtypes;
    for (const replay::Operand& o : form.in(s)) {
      step.in.push_back({value_of(o), form.type(o).shape});
      dtypes.push_back(form.type(o).dtype);
    }
    for (const replay::Operand& o : form.out(s)) {
      step.out.push_back(value_of(o));
      values_[step.out.back()].from = steps_.size();
    }
    step.built_in =
        is_built_in(*s.instruction, dtypes, s.outs ? form.type(form.out(s)[0]).dtype : float32);
    step.operation = std::move(s.instruction);
    steps_.push_back(std::move(step));
  }
  for (const replay::Operand& o : results) results_.push_back({value_of(o), form.type(o).shape});
}

}  // namespace autograd
