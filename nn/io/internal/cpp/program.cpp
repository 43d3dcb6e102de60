#include "nn/io/internal/cpp/program.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "autograd/ops/ops.hpp"
#include "nn/io/internal/recorded_steps.hpp"

namespace nn::cpp_out {
namespace {

constexpr std::size_t kNone = ag::Recording::kNone;

void drop_unwanted(Program& p) {
  p.wanted = detail::wanted_values(p.values.size(), p.steps, p.results);
  std::erase_if(p.steps, [&](const Step& s) {
    return std::ranges::none_of(s.out, [&](std::size_t o) { return p.wanted[o]; });
  });
}

void run(Program& p, const Step& s) {
  ag::TensorList in, out;
  for (const Operand& o : s.in) in.push_back(o.value == kNone ? ag::Tensor() : p.elements(o));
  for (const std::size_t o : s.out) out.push_back(ag::empty(p.values[o].shape, p.values[o].dtype));
  detail::run_step(*s.operation, in, out);
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
  drop_unwanted(p);
  std::erase_if(p.steps, [&](const Step& s) {
    detail::check_step("save_cpp", s);
    const bool known = std::ranges::all_of(
        s.in, [&](const Operand& o) { return o.value == kNone || p.is_constant(o); });
    if (s.operation->has_effect() || !known) return false;
    run(p, s);
    return true;
  });
  drop_unwanted(p);
  for (std::size_t i = 0; i < p.values.size(); ++i)
    if (p.wanted[i] && p.values[i].shape.size() > 0 && numel(sizes_of(p.values[i].shape)) == 0)
      ag::fail("save_cpp", "tensors must have elements, got one of shape {}", p.values[i].shape);
  return p;
}

}  // namespace nn::cpp_out
