#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "autograd/core/attributes.hpp"
#include "autograd/recording.hpp"

/// The steps of a recorded function: for those who write it down. Internal.
namespace nn::detail {

namespace ag = autograd;

/// Throws, for `who`, where a step writes tensors of the program or is not the library's.
inline void check_step(std::string_view who, const ag::Recording::Step& s) {
  if (s.operation->first_written() < s.in.size())
    ag::fail(who,
             "the model must leave its tensors as they are, got a write by {}; switch it to eval()",
             s.operation->name());
  if (!s.built_in)
    ag::fail(who,
             "operations must be those of the library, got {} of the program; write it in "
             "operations on tensors for the export",
             ag::call_text(*s.operation));
}

/// Which of `values` the results are made of; steps and operands are those of a Recording, or like them.
template <class Step, class Operand>
std::vector<bool> wanted_values(std::size_t values, const std::vector<Step>& steps,
                                const std::vector<Operand>& results) {
  std::vector<bool> wanted(values);
  for (const Operand& o : results) wanted[o.value] = true;
  for (std::size_t i = steps.size(); i-- > 0;) {
    if (std::ranges::none_of(steps[i].out, [&](std::size_t o) { return wanted[o]; })) continue;
    for (const auto& o : steps[i].in)
      if (o.value != ag::Recording::kNone) wanted[o.value] = true;
  }
  return wanted;
}

/// What an operation makes of inputs, into results that are there.
inline void run_step(const ag::detail::Instruction& operation, const ag::TensorList& in,
                     ag::TensorList& out) {
  operation.run(ag::InputList(in), {out.data(), out.size()});
}

}  // namespace nn::detail
