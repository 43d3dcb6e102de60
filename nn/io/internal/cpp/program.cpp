#include "nn/io/internal/cpp/program.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "autograd/ops/ops.hpp"

namespace nn::cpp_out {
namespace {

constexpr std::size_t kNone = ag::Recording::kNone;

void check_step(const Step& s) {
  if (s.operation->first_written() < s.in.size())
    ag::fail("save_cpp",
             "the model must leave its tensors as they are, got a write by {}; switch it to eval()",
             s.operation->name());
  if (!s.built_in)
    ag::fail("save_cpp",
             "operations must be those of the library, got {} of the program; write it in "
             "operations on tensors for the export",
             s.operation->name());
}

void find_wanted(Program& p) {
  p.wanted.assign(p.values.size(), false);
  for (const Operand& o : p.results) p.wanted[o.value] = true;
  std::vector<Step> kept;
  for (std::size_t i = p.steps.size(); i-- > 0;) {
    Step& s = p.steps[i];
    if (!std::ranges::any_of(s.out, [&](std::size_t o) { return p.wanted[o]; })) continue;
    for (const Operand& o : s.in)
      if (o.value != kNone) p.wanted[o.value] = true;
    kept.push_back(std::move(s));
  }
  p.steps.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
}

void run(Program& p, const Step& s) {
  ag::TensorList in, out;
  std::vector<const ag::Tensor*> pointers;
  for (const Operand& o : s.in) in.push_back(o.value == kNone ? ag::Tensor() : p.elements(o));
  for (const ag::Tensor& x : in) pointers.push_back(&x);
  for (const std::size_t o : s.out) out.push_back(ag::empty(p.values[o].shape, p.values[o].dtype));
  s.operation->run(ag::Inputs(pointers), {out.data(), out.size()});
  for (std::size_t k = 0; k < s.out.size(); ++k) p.values[s.out[k]].elements = out[k];
}

}  // namespace

std::int64_t numel(const Sizes& sizes) {
  std::int64_t n = 1;
  for (const auto size : sizes) n *= size;
  return n;
}

Sizes contiguous(const Sizes& shape) {
  Sizes s(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) s[i - 1] = s[i] * shape[i];
  return s;
}

std::string text(const Sizes& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

ag::Tensor Program::elements(const Operand& o) const {
  return ag::reshape(values[o.value].elements, o.shape);
}

Program program_of(const ag::Recording::Function& f, const ag::TensorList& examples) {
  const ag::Recording recording(f, examples);
  if (!recording.arguments_read().empty())
    ag::fail("save_cpp",
             "the model must compute the same for all inputs of its shape, got a function that "
             "reads elements of argument {}; choose by where()",
             recording.arguments_read()[0]);
  Program p{recording.values(), recording.steps(), recording.results(), {}};
  find_wanted(p);
  std::erase_if(p.steps, [&](const Step& s) {
    check_step(s);
    const bool known = std::ranges::all_of(
        s.in, [&](const Operand& o) { return o.value == kNone || p.is_constant(o); });
    if (s.operation->has_effect() || !known) return false;
    run(p, s);
    return true;
  });
  find_wanted(p);
  for (std::size_t i = 0; i < p.values.size(); ++i)
    if (p.wanted[i] && p.values[i].elements.defined() == false && p.values[i].shape.size() > 0 &&
        numel(sizes_of(p.values[i].shape)) == 0)
      ag::fail("save_cpp", "tensors must have elements, got one of shape {}", p.values[i].shape);
  return p;
}

}  // namespace nn::cpp_out
