#include <fmt/format.h>

#include "autograd/core/errors.hpp"
#include "autograd/ir/program.hpp"

namespace autograd::replay {
namespace {

char letter(Source source) {
  switch (source) {
    case Source::argument:
      return 'a';
    case Source::outside:
      return 't';
    case Source::constant:
      return 'c';
    case Source::gradient:
      return 'g';
    case Source::created:
    case Source::computed:
    case Source::repeated:
      break;
  }
  return 'v';
}

// "v7 (4, 16) float32", "c3 () float32 0.5"; "_" for an operand that a formula does not use.
std::string text(const Steps& form, const Operand& o) {
  if (o.value == 0) return "_";
  const Source source = form.values[o.value].source;
  const TensorType& type = form.type(o);
  std::string s =
      fmt::format("{}{} {} {}", letter(source), source == Source::argument ? o.value - 1 : o.value,
                  type.shape, name(type.dtype));
  if (source == Source::constant && type.numel == 1)
    dispatch(type.dtype, [&](auto zero) {
      const void* p = form.values[o.value].storage->data();
      s += fmt::format(" {}", *static_cast<const decltype(zero)*>(p));
    });
  return s;
}

template <class Operands>
std::string list(const Steps& form, const Operands& operands) {
  std::string s;
  for (const Operand& o : operands) s += (s.empty() ? "" : ", ") + text(form, o);
  return s;
}

// "v7 (4, 16) float32 = matmul(ta=false, tb=true) of a0 (4, 8) float32, t2 (16, 8) float32".
std::string text(const Steps& form, const Step& step) {
  std::string s = list(form, form.out(step));
  if (!s.empty()) s += " = ";
  s += quoted(call_text(*step.instruction), 1000);
  const auto written = form.written(step);
  const auto read = form.in(step).first(step.ins - written.size());
  if (!read.empty()) s += " of " + list(form, read);
  if (!written.empty()) s += " into " + list(form, written);
  return s;
}

}  // namespace

std::string Program::describe() const {
  std::string s = fmt::format("{} arguments, {} steps\n", arguments_.size(), form_.steps.size());
  for (const Action& action : actions_) {
    const std::uint32_t steps = action.end - action.begin;
    const bool chain = steps > 1;
    if (action.few)
      s += fmt::format("chain of {}, element by element:\n", steps);
    else if (chain)
      s += fmt::format("chain of {} over {} elements:\n", steps, action.n);
    for (const Repeats& r : action.repeats_in(form_))
      s += fmt::format("  v{} = {} repeated\n", r.to, text(form_, r.from));
    for (std::uint32_t i = action.begin; i < action.end; ++i)
      s += (chain ? "  " : "") + text(form_, form_.steps[i]) + "\n";
  }
  for (const Gradient& g : gradients_) {
    if (g.changes.empty()) continue;
    s += g.argument < 0 ? std::string("gradient of a tensor of the program")
                        : fmt::format("gradient of a{}", g.argument);
    s += ": " + (g.last().defined ? text(form_, g.last().gradient) : "none") + "\n";
  }
  if (!results_.empty()) s += "return " + list(form_, results_) + "\n";
  return s;
}

}  // namespace autograd::replay
