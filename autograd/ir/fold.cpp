#include <algorithm>

#include "autograd/ir/program.hpp"

namespace autograd::replay {
namespace {

bool is_fixed(const Steps& form, const Operand& o) {
  const Value& v = form.values[o.value];
  return v.source == Source::constant && !v.written && !v.rows && v.storage;
}

// Whether a step can be done once and for all, in no more memory than its inputs take.
bool folds(const Steps& form, const Step& step) {
  const auto bytes = [&](std::span<const Operand> operands) {
    std::size_t sum = 0;
    for (const Operand& o : operands) sum += form.type(o).bytes();
    return sum;
  };
  const detail::Instruction& instruction = *step.instruction;
  return !step.run && step.ins > 0 && !instruction.has_effect() && !instruction.checks() &&
         std::ranges::all_of(form.in(step), [&](const Operand& o) { return is_fixed(form, o); }) &&
         std::ranges::all_of(form.out(step),
                             [&](const Operand& o) {
                               const Value& v = form.values[o.value];
                               return !v.kept && !v.written && !v.rows;
                             }) &&
         bytes(form.out(step)) <= bytes(form.in(step));
}

void make(Steps& form, const Step& step) {
  TensorList in, out;
  for (const Operand& o : form.in(step))
    in.push_back(tensor_on(form.values[o.value].storage, form.type(o)));
  for (const Operand& o : form.out(step)) {
    Value& v = form.values[o.value];
    v.source = Source::constant;
    v.storage = detail::Storage::create(form.type(o).bytes());
    out.push_back(tensor_on(v.storage, form.type(o)));
  }
  step.instruction->run(InputList(in), {out.data(), out.size()});
}

}  // namespace

void fold_constants(Steps& form) {
  std::erase_if(form.steps, [&](const Step& step) {
    const bool folded = folds(form, step);
    if (folded) make(form, step);
    return folded;
  });
}

}  // namespace autograd::replay
